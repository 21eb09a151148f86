"""Safetensors files of a pruned model: copies of the dense model's in which the bytes of the pruned layers are written anew.

    places = locate(source, linears, model)       # of each layer's weight: file, bytes, dtype (core/export/places.py)
    require_representable(weights, places)        # before anything is written
    copy_pruned(source, weights, places, model, folder)

Names, order, dtypes and all other tensors stay as they are, to the bit: norms in float32, tensors that transformers ignores, metadata.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from core.export.places import Place, as_stored, stored_tensors
from core.linalg.cancellation import check_cancelled
from core.models.folders import ModelSource, source_weights
from core.models.weight_files import FLOATS, Stored
from core.spec.errors import BadInput


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


def copy_pruned(source: ModelSource, weights: Mapping[str, Tensor], places: Mapping[str, Place], model: Any, folder: Path,
                written: Collection[str] = ()) -> None:
    """Write the weight files of the pruned model into `folder`: `weights` [out, in] by layer name in place of the dense ones. Files
    `written` are there already. `model`: its structure, which knows under which names its experts are stored."""
    for file in source_weights(source):
        check_cancelled()
        if file.name not in written:
            part = (folder / file.name).with_suffix(".tmp")  # after a kill a file that is there is whole
            shutil.copyfile(file, part)
            part.replace(folder / file.name)
    write_layers(source, {name: place for name, place in places.items() if place.file not in written}, weights, model, folder)


def write_layers(source: ModelSource, places: Mapping[str, Place], weights: Mapping[str, Tensor], model: Any, folder: Path) -> None:
    """Write `weights` [out, in] into their places in the weight files of `folder`, stacks of experts one after another."""
    stacks: dict[str, dict[int, str]] = {}
    files: dict[str, list[str]] = {}
    for name, place in places.items():
        if place.stack is None:
            files.setdefault(place.file, []).append(name)
        else:
            stacks.setdefault(place.stack, {})[place.expert] = name
    for file, names in files.items():
        check_cancelled()
        with (folder / file).open("r+b") as stream:
            for name in names:
                _write(stream, places[name].start, places[name].stored(weights[name]))
    tensors = stored_tensors(source)
    for stack, names in stacks.items():
        check_cancelled()
        first = places[next(iter(names.values()))]
        value = torch.zeros(model.get_parameter(stack).shape, dtype=first.dtype)
        pruned = torch.zeros(value.shape, dtype=torch.bool)
        for expert, name in names.items():
            value[expert], pruned[expert] = places[name].stored(weights[name]), True
        masks = as_stored(model, stack, pruned, tensors)
        for key, part in as_stored(model, stack, value, tensors).items():
            file, tensor = tensors[key]
            _merge(folder / file, tensor, part, masks[key])


def _merge(file: Path, tensor: Stored, part: Tensor, pruned: Tensor) -> None:
    """Put `part` in the place of a stored tensor where `pruned` [the same shape] says so. Experts that were skipped keep their bytes."""
    if not bool(pruned.any()):
        return
    with file.open("r+b") as stream:
        if not bool(pruned.all()):
            stream.seek(tensor.start)
            own = torch.frombuffer(bytearray(stream.read(tensor.stop - tensor.start)), dtype=getattr(torch, FLOATS[tensor.dtype]))
            part = torch.where(pruned, part.to(own.dtype), own.view(tensor.shape))
        _write(stream, tensor.start, part.to(getattr(torch, FLOATS[tensor.dtype])))


def _write(stream: BinaryIO, start: int, tensor: Tensor) -> None:
    stream.seek(start)
    stream.write(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
