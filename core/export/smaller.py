"""Checkpoint of a model without some of its blocks, neurons or heads: the tensors that are left, and a configuration that says so.

Where blocks go, the others' tensors keep their bytes, under new names; where neurons or heads go, the layers that make or read them are
cut. Every tensor keeps its dtype. Shards whose tensors are all gone are not written; the index of the others is made anew.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.export.places import key_of, stored_tensors
from core.linalg.cancellation import check_cancelled
from core.models.block_keys import NotInBlocks, keys_by_block
from core.models.blocks import Linear, map_blocks
from core.models.folders import ModelSource, index_of, source_weights
from core.models.loading import build, load_skeleton
from core.models.shrinking import Cut, cut_config, cut_words, entries, require_same_blocks, shared_units, unit_cuts
from core.records import RemovedShape
from core.spec.errors import BadInput

Change = Callable[[Tensor], Tensor]
CONFIG = "config.json"
_ON_DEMAND: Any = {"backend": "pread"}


def require_smaller(source: ModelSource, shape: RemovedShape) -> None:
    """Raises BadInput for a checkpoint whose blocks, neurons or heads cannot be taken out of its files, or whose family's configuration
    cannot say so."""
    skeleton = load_skeleton(source)
    block_map = map_blocks(skeleton)
    if shape.unit != "blocks":
        shared_units(skeleton, block_map, shape.unit)
        return
    kept = shape.kept(len(block_map.blocks))
    require_same_blocks(skeleton, build(cut_config(skeleton.config, kept, len(block_map.blocks))), block_map.path, kept)
    try:
        keys_by_block(source, skeleton)
    except NotInBlocks as error:
        raise BadInput("save", source.name, "a checkpoint whose blocks share no tensors", str(error)) from error


def write_smaller(source: ModelSource, shape: RemovedShape, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write weight files and their index of the smaller model into `folder`. `weights` [out, in] by layer name: those that the run has
    pruned. Raises as `require_smaller`."""
    require_smaller(source, shape)
    skeleton = load_skeleton(source)
    change, names = _changes(source, skeleton, shape, weights), _names(source, skeleton, shape)
    places: dict[str, str] = {}
    total = 0
    for file in source_weights(source):
        check_cancelled()
        with safe_open(file, framework="pt", **_ON_DEMAND) as stored:
            tensors = {new: change.get(old, _as_it_is)(stored.get_tensor(old)) for old in stored.keys()  # noqa: SIM118
                       if (new := names.get(old)) is not None}
            metadata = stored.metadata()
        if tensors:
            save_file(tensors, folder / file.name, metadata=metadata)
            places |= dict.fromkeys(tensors, file.name)
            total += sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    index = index_of(source)
    if index:
        words = {"metadata": {"total_size": total}, "weight_map": places}
        (folder / index).write_text(json.dumps(words, indent=2) + "\n", encoding="utf-8")


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def _names(source: ModelSource, skeleton: Any, shape: RemovedShape) -> dict[str, str | None]:
    if shape.unit != "blocks":
        return {name: name for name in stored_tensors(source)}
    return _new_names(source, skeleton, shape.kept(source.blocks))


def _changes(source: ModelSource, skeleton: Any, shape: RemovedShape, weights: Mapping[str, Tensor]) -> dict[str, Change]:
    """Changes of the stored tensors of layers with neurons or heads, by their names in the files."""
    if shape.unit == "blocks":
        return {}
    block_map = map_blocks(skeleton)
    linears = {f"{linear.name}.weight": linear for block in block_map.linears for linear in block}
    tensors = stored_tensors(source)
    found: dict[str, Change] = {}
    for name, cut in unit_cuts(shared_units(skeleton, block_map, shape.unit), shape).items():
        key = key_of(name, tensors)
        if key is None:
            if name in dict(skeleton.named_parameters()):
                raise BadInput("save", source.name, f"a checkpoint that stores {name} as one tensor",
                               "Save the dense model again with transformers' save_pretrained, and prune that.")
            continue
        found[key] = partial(_cut, cut, linears.get(name), weights)
    return found


def _cut(cut: Cut, linear: Linear | None, weights: Mapping[str, Tensor], stored: Tensor) -> Tensor:
    if linear is not None and linear.name in weights:
        weight = weights[linear.name].to("cpu", stored.dtype)
        stored = weight.t() if linear.transposed else weight
    return cut.taken(stored)


def smaller_weights(skeleton: Any, shape: RemovedShape, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The pruned weights [out, in] of the layers with neurons or heads as the smaller model has them, by layer name; of the others as they
    are."""
    if shape.unit == "blocks":
        return {}
    found, units = dict(weights), shared_units(skeleton, None, shape.unit)
    for block, layers in enumerate(units.blocks):
        for linear in (*layers.makers, layers.reader):
            if linear.name in found:
                reads = linear is layers.reader
                kept = entries(shape.kept_units(block), units.width if reads else linear.rows // units.size)
                found[linear.name] = Cut(dimension=int(reads), kept=kept).taken(found[linear.name])
    return found


def write_config(source: ModelSource, shape: RemovedShape, folder: Path) -> None:
    """config.json of the dense model with the words that tell its blocks, neurons or heads: their number by its own name, lists cut."""
    kept = shape.kept(source.blocks)
    file = source.path / CONFIG
    words: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    config = load_skeleton(source).config
    blocks = int(config.get_text_config(decoder=True).num_hidden_layers)
    text = config.get_text_config(decoder=True)
    inner = next((name for name in getattr(config, "sub_configs", {}) if text is not config and getattr(config, name, None) is text), None)
    target = words if inner is None else words.setdefault(inner, {})
    number = text.attribute_map.get("num_hidden_layers", "num_hidden_layers")
    target |= cut_words(target, kept, blocks)
    target |= {name: value for name, value in cut_words(text.to_dict(), kept, blocks).items() if name in target}
    if shape.unit != "blocks":
        target |= {name if name in target else text.attribute_map.get(name, name): value for name, value in shape.config_words.items()}
    elif "num_hidden_layers" in target:
        target["num_hidden_layers"] = len(kept)
    if shape.unit == "blocks" and (number != "num_hidden_layers" or "num_hidden_layers" not in target):
        target[number] = len(kept)
    words.pop("auto_map", None)
    (folder / CONFIG).write_text(json.dumps(words, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _new_names(source: ModelSource, skeleton: Any, kept: Sequence[int]) -> dict[str, str | None]:
    """New name of every stored tensor by its old one; None: its block is gone. Tensors that the model itself does not know, such as old
    rotary tables of a block, follow the block under whose name they stand."""
    keys = keys_by_block(source, skeleton)
    tail = map_blocks(skeleton).path.rpartition(".")[2]
    numbered = re.compile(rf"(.*?(?:^|\.){re.escape(tail)})\.(\d+)\.(.+)")
    found: dict[str, str | None] = {key: key for key, _ in keys.frame}
    heads = set[str]()
    for block, stored in enumerate(keys.blocks):
        for key, _ in stored:
            match = numbered.fullmatch(key)
            if match is None or int(match[2]) != block:
                raise BadInput("save", source.name, "a checkpoint that names its blocks' tensors by the block's number", f"{key} is of "
                               f"block {block}. Save the dense model again with transformers' save_pretrained, and prune that.")
            heads.add(match[1])
            found[key] = _renamed(match, kept)
    for key, _ in keys.frame:
        match = numbered.fullmatch(key)
        if match is not None and match[1] in heads:
            found[key] = _renamed(match, kept)
    return found


def _renamed(match: re.Match[str], kept: Sequence[int]) -> str | None:
    block = int(match[2])
    return f"{match[1]}.{kept.index(block)}.{match[3]}" if block in kept else None
