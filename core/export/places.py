"""Places of layers in a checkpoint's files, under the names that the checkpoint gives its tensors.

transformers renames and fuses what it loads (Mixtral's experts are 3·E matrices in its files and two parameters in memory) and knows the
way back: `revert_weight_conversion`. It is asked here with tensors that have a shape and no memory.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.core_model_loading import revert_weight_conversion

from core.data.files import stamp
from core.models.blocks import Linear
from core.models.folders import ModelSource, source_weights
from core.models.weight_files import FLOATS, Stored, read_header
from core.spec.errors import BadInput

Tensors = Mapping[str, tuple[str, Stored]]  # by the checkpoint's name: file and header


@dataclass(frozen=True, kw_only=True)
class Place:
    """Place of a layer's weight in the files. `transposed`: as [in, out], which is how GPT-2's layers keep theirs.

    Of an expert, `stack` names the parameter that holds its matrix in memory, and `start` belongs to the first tensor made of that.
    """

    file: str
    start: int  # byte of the file
    dtype: torch.dtype
    transposed: bool
    stack: str | None = None
    expert: int = 0

    def stored(self, weight: Tensor) -> Tensor:
        """`weight` [out, in] as it is stored, or as it lies in the stack: dtype and layout, on the CPU."""
        return (weight.t() if self.transposed else weight).to("cpu", self.dtype).contiguous()


def locate(source: ModelSource, linears: Sequence[Linear], model: Any) -> dict[str, Place]:
    """The place of each layer's weight by layer name. Raises BadInput for a checkpoint that stores a layer otherwise than can be written.

    A checkpoint may leave out or add a prefix: the tensor is the one that shares the longest end of the name, and no other does.
    """
    tensors = stored_tensors(source)
    stacks: dict[str, list[tuple[str, Stored]]] = {}
    places: dict[str, Place] = {}
    for linear in linears:
        if linear.stack not in stacks:
            stacks[linear.stack] = _found(source, linear, model, tensors)
        file, tensor = stacks[linear.stack][0]
        places[linear.name] = Place(file=file, start=tensor.start, dtype=getattr(torch, FLOATS[tensor.dtype]), transposed=linear.transposed,
                                    stack=None if linear.expert is None else linear.stack, expert=linear.expert or 0)
    return places


def files_of(source: ModelSource, places: Mapping[str, Place], model: Any) -> set[str]:
    """Names of the weight files that the layers of `places` are in; a stack of experts may be in several."""
    tensors = stored_tensors(source)
    stacks = {place.stack for place in places.values() if place.stack is not None}
    shapes = {stack: torch.empty(model.get_parameter(stack).shape, device="meta") for stack in stacks}
    parts = {tensors[key][0] for stack, shape in shapes.items() for key in as_stored(model, stack, shape, tensors)}
    return parts | {place.file for place in places.values() if place.stack is None}


def stored_tensors(source: ModelSource) -> dict[str, tuple[str, Stored]]:
    """Every tensor of a checkpoint by its name there."""
    return {key: (file.name, tensor) for file in source_weights(source) for key, tensor in read_header(stamp(file)).items()}


def as_stored(model: Any, name: str, value: Tensor, tensors: Tensors) -> dict[str, Tensor]:
    """A parameter as a checkpoint keeps it: its own tensors, by their names there. Raises KeyError where it has none that fit."""
    if name in tensors and tensors[name][1].shape == value.shape:
        return {name: value}
    parts: dict[str, Tensor] = revert_weight_conversion(model, {name: value})
    named: dict[str, Tensor] = {}
    for key, part in parts.items():
        found = key_of(key, tensors)
        if found is None or tensors[found][1].shape != part.shape:
            raise KeyError(key)
        named[found] = part
    return named


def key_of(name: str, tensors: Mapping[str, object]) -> str | None:
    """The name itself, or the only one with its longest end: at least block number, module and weight."""
    parts = name.split(".")
    for skipped in range(len(parts) - 3):
        end = ".".join(parts[skipped:])
        keys = [end] if end in tensors else [key for key in tensors if key.endswith(f".{end}")]
        if keys:
            return keys[0] if len(keys) == 1 else None
    return None


def _found(source: ModelSource, linear: Linear, model: Any, tensors: Tensors) -> list[tuple[str, Stored]]:
    """The tensors that a layer's parameter, or the stack it is in, is made of. A dry run, on the meta device."""
    stored = getattr(linear.layer, linear.parameter)
    try:
        parts = as_stored(model, linear.stack, torch.empty(stored.shape, device="meta"), tensors)
    except (KeyError, ValueError, RuntimeError, IndexError, AttributeError) as error:
        shape = "×".join(map(str, stored.shape))
        what = f"{linear.name} as one matrix of {shape}" if linear.expert is None else f"{linear.stack} ({shape}) as transformers saves it"
        raise BadInput("save", source.name, f"a checkpoint that stores {what}",
                       "Save the dense model again with transformers' save_pretrained, and prune that.") from error
    return [tensors[key] for key in parts]
