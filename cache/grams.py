"""Gram matrices of a dense model on disk, a block a file: core.grams.GramStore in a folder. torch only when used."""

# pyright: reportUnknownVariableType=false

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cache.space import DiskFull
from core.run.block_files import TensorFiles
from core.spec.base import FrozenModel

if TYPE_CHECKING:
    from core.models.grams import InputStatistics


class _Input(FrozenModel):
    layers: tuple[str, ...]
    tokens: int


class _Inputs(FrozenModel):
    """Written last: a block without it does not exist."""

    inputs: tuple[_Input, ...]


class GramFolder:
    """core.models.grams.GramStore. A block that is missing, cut off or damaged reads as None."""

    def __init__(self, folder: Path) -> None:
        self._files = TensorFiles(folder, _Inputs)

    def read(self, block: int) -> tuple[InputStatistics, ...] | None:
        """The inputs of a block, on the CPU."""
        from core.models.grams import InputStatistics

        found = self._files.read(block)
        if found is None:
            return None
        tensors, record = found
        return tuple(InputStatistics(layers=item.layers, tokens=item.tokens, gram=tensors[f"gram-{index}"], mean=tensors[f"mean-{index}"])
                     for index, item in enumerate(record.inputs))

    def write(self, block: int, inputs: tuple[InputStatistics, ...]) -> None:
        """Keep the inputs of a block: all of it or nothing; nothing on a full disk, and they are collected again the next time."""
        tensors = {f"gram-{index}": item.gram for index, item in enumerate(inputs)}
        tensors |= {f"mean-{index}": item.mean for index, item in enumerate(inputs)}
        with suppress(DiskFull):
            self._files.write(block, tensors, _Inputs(inputs=tuple(_Input(layers=item.layers, tokens=item.tokens) for item in inputs)))
