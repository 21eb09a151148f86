"""Tensors of a checkpoint by the decoder block that they make up, after transformers' own renaming. Reads headers only."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

from core.data.files import stamp
from core.models.blocks import BlockMap, map_blocks
from core.models.folders import source_weights
from core.models.loading import load_skeleton
from core.models.sources import ModelSource
from core.models.weight_files import FLOATS, Stored, read_header
from core.spec.errors import PruneError


class NotInBlocks(PruneError):
    """A checkpoint whose blocks cannot be read one at a time, with the reason. It can be loaded whole."""


@dataclass(frozen=True, kw_only=True)
class BlockKeys:
    """The checkpoint's tensors, as (name, file), by block; all others under `frame`. `targets`: the parameter that each becomes, or the
    first of several."""

    blocks: tuple[tuple[tuple[str, Path], ...], ...]
    frame: tuple[tuple[str, Path], ...]
    stored: Mapping[str, Stored]
    targets: Mapping[str, str]


def keys_by_block(source: ModelSource, skeleton: PreTrainedModel) -> BlockKeys:
    """The tensors of the checkpoint by the block that they make up, after transformers' own renaming. Reads headers only.

    Raises NotInBlocks where a block's weights are used elsewhere as well, or are no floats.
    """
    block_map = map_blocks(skeleton)
    _refuse_shared(skeleton, block_map)
    names = {f"{block_map.path}.{index}.{name}": index for index, block in enumerate(block_map.blocks)
             for name, _ in block.named_parameters()}
    mapping = conversions(skeleton)
    renamings = [entry for entry in mapping if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in mapping if isinstance(entry, WeightConverter)]
    known = skeleton.state_dict()
    blocks: list[list[tuple[str, Path]]] = [[] for _ in block_map.blocks]
    frame: list[tuple[str, Path]] = []
    stored: dict[str, Stored] = {}
    targets: dict[str, str] = {}
    for file in source_weights(source):
        for key, tensor in read_header(stamp(file)).items():
            target, _ = rename_source_key(key, renamings, converters, skeleton.base_model_prefix, known)
            if target not in known and key in known:
                target = key
            block = names.get(target)
            if block is not None and tensor.dtype not in FLOATS:
                raise NotInBlocks(f"{key} is stored as {tensor.dtype}.")
            (frame if block is None else blocks[block]).append((key, file))
            stored[key], targets[key] = tensor, target
    return BlockKeys(blocks=tuple(map(tuple, blocks)), frame=tuple(frame), stored=stored, targets=targets)


def bytes_of_blocks(source: ModelSource, kept: Collection[int]) -> int:
    """Bytes of the checkpoint's tensors without those of the blocks that are not in `kept`. Raises as `keys_by_block`."""
    keys = keys_by_block(source, load_skeleton(source))
    names = [*keys.frame, *(key for block, stored in enumerate(keys.blocks) if block in kept for key in stored)]
    return sum(keys.stored[name].stop - keys.stored[name].start for name, _ in names)


def conversions(model: PreTrainedModel) -> list[Any]:
    """Transformers' renamings and conversions from checkpoints of this family."""
    return list(get_model_conversion_mapping(model, None, None) or [])


def _refuse_shared(model: PreTrainedModel, block_map: BlockMap) -> None:
    """Raise NotInBlocks for a parameter of a block that is used in another place too."""
    uses = Counter(id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False))
    tied = {name for pair in (getattr(model, "all_tied_weights_keys", None) or {}).items() for name in pair}
    for index, block in enumerate(block_map.blocks):
        for name, parameter in block.named_parameters():
            if uses[id(parameter)] > 1 or f"{block_map.path}.{index}.{name}" in tied:
                raise NotInBlocks(f"{block_map.path}.{index}.{name} is shared with another part of the model.")
