"""A model without some of its decoder blocks, neurons or heads, as a model of its own: a configuration that says so, and what is left.

    config = cut_config(model.config, kept, blocks)  # what config.json of a saved one says
    small  = shrunk(model, shape, weights)           # shares with `model` all tensors that stay as they are

A configuration tells how many blocks there are, and often of what kind each is. Where the kind of a block follows from its number, and the
list of kinds is not written down, the smaller model would have other blocks: that is found by comparing them, and refused.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from core.models.blocks import BlockMap, Linear, map_blocks
from core.models.heads import attention_heads
from core.models.loading import build
from core.models.neurons import Units, mlp_units, with_settings
from core.records import RemovedShape
from core.spec.errors import BadInput

_OF_NUMBER = {"layer_idx", "layer_id", "layer_number"}  # attributes that number a block
_BY_NUMBER = ("scale_attn_by_inverse_layer_idx",)  # settings that make a block's arithmetic follow from its number


def cut_config(config: Any, kept: Sequence[int], blocks: int) -> Any:
    """A copy of a configuration of `blocks` blocks that has those of `kept` alone: their number, and every list with an entry a block.
    Raises BadInput where the arithmetic of a block follows from its number."""
    found = copy.deepcopy(config)
    text = found.get_text_config(decoder=True)
    by_number = next((name for name in _BY_NUMBER if getattr(text, name, False)), None)
    if by_number:
        raise _refusal(config, f"{by_number} makes the arithmetic of a block follow from its number.")
    for name, value in cut_words(text.to_dict(), kept, blocks).items():
        setattr(text, name, value)
    text.num_hidden_layers = len(kept)
    return found


def cut_words(words: Mapping[str, Any], kept: Sequence[int], blocks: int) -> dict[str, Any]:
    """The entries of a configuration's words that are lists with an entry for each of `blocks` blocks, cut to those of `kept`."""
    return {name: type(value)(value[block] for block in kept) for name, value in words.items()
            if isinstance(value, list | tuple) and len(value) == blocks and ("layer" in name or "block" in name)}


def without_blocks(model: PreTrainedModel, block_map: BlockMap, kept: Sequence[int]) -> PreTrainedModel:
    """A model with the blocks of `kept`, in eval mode, frozen. Its tensors are those of `model`: nothing is copied.

    Raises BadInput where a configuration of its family cannot say which blocks there are.
    """
    small = build(cut_config(model.config, kept, len(block_map.blocks)))
    require_same_blocks(model, small, block_map.path, kept)
    shared: dict[int, nn.Parameter] = {}
    own = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    for module_name, module in small.named_modules():
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            there = own[old_name(f"{module_name}.{name}" if module_name else name, block_map.path, kept)]
            if isinstance(tensor, nn.Parameter):
                module.register_parameter(name, shared.setdefault(id(there), nn.Parameter(there.detach(), requires_grad=False)))
            else:
                setattr(module, name, there)
    small.generation_config = model.generation_config
    return small.eval().requires_grad_(False)


def shrunk(model: PreTrainedModel, shape: RemovedShape, weights: Mapping[str, Tensor] | None = None) -> PreTrainedModel:
    """The smaller model of a run. `weights` [out, in] by layer name: those that it has pruned, where it has. Raises BadInput as
    `without_blocks` and core/models/neurons.py do."""
    block_map = map_blocks(model)
    if shape.unit == "blocks":
        return without_blocks(model, block_map, shape.kept(len(block_map.blocks)))
    small = build(with_settings(model.config, shape.config_words))
    cuts = unit_cuts(shared_units(model, block_map, shape.unit), shape)
    weights = weights or {}
    pruned = {linear.name: linear for linears in block_map.linears for linear in linears if linear.name in weights}
    shared: dict[int, nn.Parameter] = {}
    own = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    for module_name, module in small.named_modules():
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            full = f"{module_name}.{name}" if module_name else name
            there = own[full]
            if isinstance(tensor, nn.Parameter):
                if id(there) not in shared:
                    linear = pruned.get(module_name) if name == "weight" else None
                    value = there.detach() if linear is None else _stored_as(linear, weights[module_name]).to(there)
                    shared[id(there)] = nn.Parameter(cuts[full].taken(value) if full in cuts else value, requires_grad=False)
                module.register_parameter(name, shared[id(there)])
            else:
                setattr(module, name, there)
    small.generation_config = model.generation_config
    return small.eval().requires_grad_(False)


def _stored_as(linear: Linear, weight: Tensor) -> Tensor:
    return weight.t() if linear.transposed else weight


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Entries of one dimension of a stored tensor that stay."""

    dimension: int
    kept: tuple[int, ...]

    def taken(self, tensor: Tensor) -> Tensor:
        """The part of a tensor that stays, contiguous."""
        return tensor.index_select(self.dimension, torch.tensor(self.kept, device=tensor.device)).contiguous()


def shared_units(model: PreTrainedModel, block_map: BlockMap | None, unit: str) -> Units:
    """The neurons or heads of a model. Raises BadInput where its configuration cannot say how many there are."""
    return attention_heads(model, block_map) if unit == "heads" else mlp_units(model, block_map)


def unit_cuts(units: Units, shape: RemovedShape) -> dict[str, Cut]:
    """Cuts of the tensors that have entries for each unit, by the tensor's name in the model."""
    found: dict[str, Cut] = {}
    for block, layers in enumerate(units.blocks):
        for maker in layers.makers:
            kept = entries(shape.kept_units(block), maker.rows // units.size)
            found[f"{maker.name}.weight"] = Cut(dimension=1 if maker.transposed else 0, kept=kept)
            found[f"{maker.name}.bias"] = Cut(dimension=0, kept=kept)
        kept = entries(shape.kept_units(block), units.width)
        found[f"{layers.reader.name}.weight"] = Cut(dimension=0 if layers.reader.transposed else 1, kept=kept)
    return found


def entries(units: Sequence[int], each: int) -> tuple[int, ...]:
    """The rows or columns of some units, `each` of them a unit."""
    return tuple(each * unit + place for unit in units for place in range(each))


def old_name(name: str, path: str, kept: Sequence[int]) -> str:
    """Name in the whole model of a tensor of the small one."""
    head, _, rest = name.removeprefix(f"{path}.").partition(".")
    return f"{path}.{kept[int(head)]}.{rest}" if name.startswith(f"{path}.") else name


def require_same_blocks(model: nn.Module, small: nn.Module, path: str, kept: Sequence[int]) -> None:
    """Raises BadInput unless every block of `small` is what the block of `model` is that it stands for: tensors and settings."""
    here, there = small.get_submodule(path), model.get_submodule(path)
    for place, block in enumerate(kept):
        one, other = (dict(_settings(blocks.get_submodule(str(index)))) for blocks, index in ((here, place), (there, block)))
        odd = next((name for name in {**one, **other} if one.get(name) != other.get(name)), None)
        if odd is not None:
            raise _refusal(getattr(model, "config", None), f"Block {block} would become block {place}, and {odd} would be "
                           f"{one.get(odd)}, not {other.get(odd)}: it follows from the number.")


def _settings(block: nn.Module) -> Iterator[tuple[str, Any]]:
    """Shapes of a block's tensors, and plain attributes of its modules other than its number."""
    for name, tensor in [*block.named_parameters(), *block.named_buffers()]:
        yield name, tuple(tensor.shape)
    for name, module in block.named_modules():
        yield f"{name} (class)", type(module).__name__
        for key, value in vars(module).items():
            if isinstance(value, bool | int | float | str) and not key.startswith("_") and key not in _OF_NUMBER and key != "training":
                yield f"{name}.{key}".lstrip("."), value


def _refusal(config: Any, why: str) -> BadInput:
    family = str(getattr(config, "model_type", "this family"))
    return BadInput("pattern", family, "families whose configuration can say which blocks are left",
                    f"{why} The run's numbers hold, but no plain folder can hold this model: choose other blocks, or zeros.")

