"""Finished blocks of a run on disk: weights as safetensors, then their records as JSON, the commit mark. torch only when used."""

# pyright: reportUnknownVariableType=false

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from core.journal import BlockState
from core.noun import Noun
from core.records import LayerRecord

if TYPE_CHECKING:
    from torch import Tensor


class _Commit(Noun):
    """Written last: a block without it does not exist."""

    layers: tuple[LayerRecord, ...]
    weights_sha256: str


class BlockJournal:
    """core.journal.Journal in a folder of its own. A block that is missing, cut off or damaged reads as None."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, block: int) -> BlockState | None:
        """The finished block, its weights on the CPU, or None."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        weights_file, commit_file = self._files(block)
        try:
            commit = _Commit.model_validate_json(commit_file.read_bytes())
            if _sha256(weights_file) != commit.weights_sha256:
                return None
            return BlockState(layers=commit.layers, weights=load_file(weights_file))
        except (OSError, ValidationError, SafetensorError):
            return None

    def write(self, block: int, state: BlockState) -> None:
        """Keep a finished block: a kill at any moment leaves either all of it or nothing that `read` accepts."""
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        weights_file, commit_file = self._files(block)
        weights = {name: weight.detach().contiguous().cpu() for name, weight in state.weights.items()}
        commit_file.unlink(missing_ok=True)
        _replace(weights_file, lambda path: save_file(weights, path))
        commit = _Commit(layers=state.layers, weights_sha256=_sha256(weights_file))
        _replace(commit_file, lambda path: path.write_text(commit.model_dump_json(), encoding="utf-8"))

    @property
    def weights(self) -> dict[str, Tensor]:
        """The pruned weights [out, in] of all finished blocks, by layer name: a finished run's whole outcome."""
        states = (self.read(block) for block in range(len(tuple(self.folder.glob("block-*.json")))))
        return {name: weight for state in states if state for name, weight in state.weights.items()}

    def _files(self, block: int) -> tuple[Path, Path]:
        return self.folder / f"block-{block:05d}.safetensors", self.folder / f"block-{block:05d}.json"


def _replace(target: Path, write: Callable[[Path], object]) -> None:
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        _sync(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
