"""Finished blocks of a run on disk: core.journal.Journal in a folder. torch only when used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cache.files import TensorFiles
from core.records import LayerRecord
from core.run.journal import BlockState
from core.spec.base import FrozenModel

if TYPE_CHECKING:
    from torch import Tensor


class _Layers(FrozenModel):
    layers: tuple[LayerRecord, ...]


class BlockJournal:
    """core.run.journal.Journal in a folder of its own. A block that is missing, cut off or damaged reads as None."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = TensorFiles(folder, _Layers)

    @property
    def blocks(self) -> int:
        """Number of finished blocks. Looks at names only; no torch. (No `__len__`: an empty journal is still a journal.)"""
        return len(self._files)

    def read(self, block: int) -> BlockState | None:
        """The finished block, its weights on the CPU, or None."""
        found = self._files.read(block)
        return BlockState(layers=found[1].layers, weights=found[0]) if found else None

    def write(self, block: int, state: BlockState) -> None:
        """Keep a finished block: all of it or nothing."""
        self._files.write(block, state.weights, _Layers(layers=state.layers))

    @property
    def weights(self) -> dict[str, Tensor]:
        """The pruned weights [out, in] of all finished blocks, by layer name: a finished run's whole outcome."""
        states = (self.read(block) for block in range(self.blocks))
        return {name: weight for state in states if state for name, weight in state.weights.items()}
