"""Finished blocks of a run on disk: core.run.journal.Journal in a folder. torch only when used."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from core.records import BlockReconstruction, LayerRecord, ScoredRound
from core.run.block_files import TensorFiles
from core.run.journal import BlockState
from core.spec.base import FrozenModel

if TYPE_CHECKING:
    from torch import Tensor

FORGOTTEN = 7 * 24 * 3600.0  # seconds after which nobody is expected to run an interrupted command again


class _Layers(FrozenModel):
    layers: tuple[LayerRecord, ...]
    reconstruction: BlockReconstruction | None = None
    scored: ScoredRound | None = None


class BlockJournal:
    """core.run.journal.Journal in a folder of its own. A block that is missing, cut off or damaged reads as None."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = TensorFiles(folder, _Layers)

    @property
    def blocks(self) -> int:
        """Number of finished blocks. Looks at names only; no torch. (No `__len__`: an empty journal is still a journal.)"""
        return len(self._files)

    def files(self) -> list[tuple[Path, tuple[LayerRecord, ...]]]:
        """Of the finished blocks the file of tensors, and the records of its layers. No torch."""
        return [(file, record.layers) for file, record in self._files.records()]

    def read(self, block: int) -> BlockState | None:
        """The finished block, its weights on the CPU, or None."""
        found = self._files.read(block)
        if found is None:
            return None
        weights, kept = found
        return BlockState(layers=kept.layers, weights=weights, reconstruction=kept.reconstruction, scored=kept.scored)

    def write(self, block: int, state: BlockState) -> None:
        """Keep a finished block: all of it or nothing."""
        self._files.write(block, state.weights, _Layers(layers=state.layers, reconstruction=state.reconstruction,
                                                        scored=state.scored))

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """The pruned weights [out, in] of all finished blocks, by layer name: a finished run's whole outcome. One block is in memory."""
        return _Weights(self)


class _Weights(Mapping[str, "Tensor"]):
    """Weights of a journal's blocks, each block read when a layer of it is asked for and the one before was of another."""

    def __init__(self, journal: BlockJournal) -> None:
        self._journal, self._blocks = journal, dict[str, int]()
        self._held: tuple[int, Mapping[str, Tensor]] = -1, {}
        for block in range(journal.blocks):
            state = journal.read(block)
            self._blocks |= dict.fromkeys(state.weights if state else (), block)

    def __getitem__(self, name: str) -> Tensor:
        block = self._blocks[name]
        if self._held[0] != block:
            state = self._journal.read(block)
            if state is None:
                raise KeyError(name)
            self._held = block, state.weights
        return self._held[1][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._blocks)

    def __len__(self) -> int:
        return len(self._blocks)


def remove_forgotten(unfinished: Path) -> None:
    """Remove what is kept of commands that were interrupted long ago."""
    for path in forgotten(unfinished):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)


def forgotten(unfinished: Path) -> tuple[Path, ...]:
    """Folders of blocks and files of results (.json) of commands that were interrupted long ago."""
    return tuple(path for path in unfinished.glob("*") if (path.is_dir() or path.suffix == ".json")
                 and path.stat().st_mtime < time.time() - FORGOTTEN)
