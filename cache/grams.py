"""Gram matrices of a dense model on disk, a block a file: core.models.grams.GramFiles in a folder. torch only when used."""

# pyright: reportUnknownVariableType=false

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cache.space import DiskFull
from core.run.block_files import TensorFiles
from core.spec.base import FrozenModel

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.grams import InputStatistics


class _Input(FrozenModel):
    layers: tuple[str, ...]
    tokens: int
    energies: bool = False


class _Inputs(FrozenModel):
    """Written last: a block without it does not exist."""

    inputs: tuple[_Input, ...]


class GramFolder:
    """core.models.grams.GramFiles. A block that is missing, cut off or damaged reads as None."""

    def __init__(self, folder: Path, *, full_is_error: bool = False) -> None:
        self._files, self._full_is_error = TensorFiles(folder, _Inputs), full_is_error

    @property
    def blocks(self) -> int:
        """Number of blocks that are there with the row energies of their layers. Looks at records only; no torch."""
        return sum(self.has(block) for block in range(len(self._files)))

    def has(self, block: int) -> bool:
        """True if the inputs of a block are there, with the row energies of their layers. Looks at its record only."""
        record = self._files.record(block)
        return record is not None and all(item.energies for item in record.inputs)

    def read(self, block: int) -> tuple[InputStatistics, ...] | None:
        """The inputs of a block, on the CPU."""
        found = self._files.read(block)
        return None if found is None else tuple(_statistics(item, index, found[0]) for index, item in enumerate(found[1].inputs))

    def read_input(self, block: int, layer: str, *, energies: bool = False) -> InputStatistics | None:
        """The input of a layer alone, on the CPU. `energies`: with an empty tensor in place of the Gram matrix."""
        found = self._files.read_some(block, lambda record: _names(record, layer, energies=energies))
        if found is None or not found[0]:
            return None
        index, item = next((index, item) for index, item in enumerate(found[1].inputs) if layer in item.layers)
        return _statistics(item, index, found[0])

    def write(self, block: int, inputs: tuple[InputStatistics, ...]) -> None:
        """Keep the inputs of a block: all of it or nothing; nothing on a full disk (they are collected again the next time), or, where that
        was asked for, DiskFull is raised."""
        tensors = {f"gram-{index}": item.gram for index, item in enumerate(inputs)}
        tensors |= {f"mean-{index}": item.mean for index, item in enumerate(inputs)}
        tensors |= {_energy(index, place): energy for index, item in enumerate(inputs) for place, energy in enumerate(item.energies or ())}
        record = _Inputs(inputs=tuple(_Input(layers=item.layers, tokens=item.tokens, energies=item.energies is not None)
                                      for item in inputs))
        with suppress(*() if self._full_is_error else (DiskFull,)):
            self._files.write(block, tensors, record)


def _energy(index: int, place: int) -> str:
    return f"energy-{index}-{place}"


def _names(record: _Inputs, layer: str, *, energies: bool) -> list[str]:
    """The tensors of a layer's input."""
    return [name for index, item in enumerate(record.inputs) if layer in item.layers
            for name in (f"mean-{index}", *(() if energies else (f"gram-{index}",)),
                         *(_energy(index, place) for place in range(len(item.layers) if item.energies else 0)))]


def _statistics(item: _Input, index: int, tensors: dict[str, Tensor]) -> InputStatistics:
    from core.models.grams import InputStatistics

    mean = tensors[f"mean-{index}"]
    return InputStatistics(
        layers=item.layers, tokens=item.tokens, gram=tensors.get(f"gram-{index}", mean[:0, None]), mean=mean,
        energies=tuple(tensors[_energy(index, place)] for place in range(len(item.layers))) if item.energies else None)
