"""Safetensors files of a pruned model: copies of the dense model's in which the bytes of the pruned layers are written anew.

    places = locate(source, linears)              # of each layer's weight: file, bytes, dtype
    require_representable(weights, places)        # before anything is written
    copy_pruned(source, weights, places, folder)

Names, order, dtypes and all other tensors stay as they are, to the bit: norms in float32, tensors that transformers ignores, metadata.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from core.data.files import stamp
from core.linalg.cancellation import check_cancelled
from core.models.blocks import Linear
from core.models.folders import ModelSource, source_weights
from core.models.weight_files import FLOATS, Stored, read_header
from core.spec.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Place:
    """Place of a layer's weight in the files. `transposed`: as [in, out], which is how GPT-2's layers keep theirs."""

    file: str
    start: int  # byte of the file
    dtype: torch.dtype
    transposed: bool

    def stored(self, weight: Tensor) -> Tensor:
        """`weight` [out, in] as it is stored: dtype and layout, on the CPU."""
        return (weight.t() if self.transposed else weight).to("cpu", self.dtype).contiguous()


def locate(source: ModelSource, linears: Sequence[Linear]) -> dict[str, Place]:
    """The place of each layer's weight by layer name. Raises BadInput for a checkpoint that stores a layer otherwise than as one matrix.

    A checkpoint may leave out or add a prefix: the tensor is the one that shares the longest end of the name, and no other does.
    """
    tensors = {key: (file.name, tensor) for file in source_weights(source) for key, tensor in read_header(stamp(file)).items()}
    places: dict[str, Place] = {}
    for linear in linears:
        key = _key(f"{linear.name}.weight", tensors)
        transposed = isinstance(linear.layer, Conv1D)
        shape = (linear.columns, linear.rows) if transposed else (linear.rows, linear.columns)
        if key is None or tensors[key][1].shape != shape:
            raise BadInput("save", source.name, f"a checkpoint that stores {linear.name} as one matrix of {shape[0]}×{shape[1]}",
                           "Save the dense model again with transformers' save_pretrained, and prune that.")
        file, tensor = tensors[key]
        places[linear.name] = Place(file=file, start=tensor.start, dtype=getattr(torch, FLOATS[tensor.dtype]), transposed=transposed)
    return places


def _key(name: str, tensors: Mapping[str, tuple[str, Stored]]) -> str | None:
    """The name itself, or the only one with its longest end: at least block number, module and weight."""
    parts = name.split(".")
    for skipped in range(len(parts) - 3):
        end = ".".join(parts[skipped:])
        keys = [end] if end in tensors else [key for key in tensors if key.endswith(f".{end}")]
        if keys:
            return keys[0] if len(keys) == 1 else None
    return None


def require_representable(weights: Mapping[str, Tensor], places: Mapping[str, Place]) -> None:
    """Raise BadInput naming the first layer whose weights are finite and would not be in the checkpoint's dtype, with counts."""
    lost = {name: count for name, place in places.items() if (count := _overflows(weights[name], place.dtype))}
    if not lost:
        return
    name = next(iter(lost))
    dtype, largest = str(places[name].dtype).removeprefix("torch."), float(weights[name].abs().max())
    others = f" and {sum(lost.values()) - lost[name]:,} in {len(lost) - 1} other layers" if len(lost) > 1 else ""
    raise BadInput("save", f"{lost[name]:,} weights of {name}{others}", f"numbers that {dtype} can hold, up to "
                   f"{torch.finfo(places[name].dtype).max:g}", f"The largest is {largest:.3g}. Nothing was written. So large an update "
                   "comes of too little damping: raise it, or use more calibration tokens. Or convert the dense model to float32 "
                   "(from_pretrained(MODEL, dtype='float32').save_pretrained(NEW)) and prune that.")


def _overflows(weight: Tensor, dtype: torch.dtype) -> int:
    """Entries that become infinite or NaN in `dtype`."""
    return weight.numel() - int(weight.to(dtype).isfinite().sum())


def is_rounded(weights: Mapping[str, Tensor], places: Mapping[str, Place]) -> bool:
    """True if some weight differs from what is stored of it."""
    return any(not torch.equal(weights[name].to(place.dtype).to(weights[name].dtype), weights[name]) for name, place in places.items())


def copy_pruned(source: ModelSource, weights: Mapping[str, Tensor], places: Mapping[str, Place], folder: Path,
                written: Collection[str] = ()) -> None:
    """Write the weight files of the pruned model into `folder`: `weights` [out, in] by layer name in place of the dense ones. Files
    `written` are there already."""
    for file in source_weights(source):
        check_cancelled()
        if file.name not in written:
            shutil.copyfile(file, folder / file.name)
            write_layers(folder / file.name, {name: place for name, place in places.items() if place.file == file.name}, weights)


def write_layers(file: Path, places: Mapping[str, Place], weights: Mapping[str, Tensor]) -> None:
    """Write `weights` [out, in] into their places in a weight file."""
    if not places:
        return
    with file.open("r+b") as stream:
        for name, place in places.items():
            stream.seek(place.start)
            stream.write(place.stored(weights[name]).flatten().view(torch.uint8).numpy().data)
