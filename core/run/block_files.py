"""Tensors on disk, a block a file: safetensors, then a record as JSON, the commit mark. torch only when used."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import ValidationError

from core.data.space import MARGIN, DiskFull, free_bytes, is_full
from core.spec.base import FrozenModel

if TYPE_CHECKING:
    from torch import Tensor

Record = TypeVar("Record", bound=FrozenModel)


class TensorFiles(Generic[Record]):
    """Numbered blocks in a folder, each some tensors by name and one record. Missing, cut off or damaged reads as None."""

    def __init__(self, folder: Path, record: type[Record]) -> None:
        self.folder, self._record = folder, record
        self._seen: dict[int, tuple[str, int, int, int]] = {}

    def read(self, block: int) -> tuple[dict[str, Tensor], Record] | None:
        """The tensors, on the CPU, and the record; or None."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        tensor_file, record_file = self._paths(block)
        try:
            digest, _, text = record_file.read_text(encoding="utf-8").partition("\n")
            if digest != _both(tensor_file, text):
                return None
            return load_file(tensor_file), self._record.model_validate_json(text)
        except (OSError, ValueError, ValidationError, SafetensorError):
            return None

    def read_some(self, block: int, choose: Callable[[Record], Collection[str]]) -> tuple[dict[str, Tensor], Record] | None:
        """The tensors that `choose` names by the record, on the CPU, and the record; or None. The checksum is looked at when this object
        first reads a file."""
        from safetensors import SafetensorError, safe_open

        tensor_file, record_file = self._paths(block)
        try:
            digest, _, text = record_file.read_text(encoding="utf-8").partition("\n")
            state = tensor_file.stat()
            stamp = digest, state.st_size, state.st_mtime_ns, state.st_ino
            if self._seen.get(block) != stamp and digest != _both(tensor_file, text):
                return None
            self._seen[block] = stamp
            record = self._record.model_validate_json(text)
            with safe_open(tensor_file, framework="pt") as tensors:
                return {name: tensors.get_tensor(name) for name in choose(record)}, record
        except (OSError, ValueError, ValidationError, SafetensorError):
            return None

    def record(self, block: int) -> Record | None:
        """The record of a block; its tensors are not looked at."""
        try:
            return self._record.model_validate_json(self._paths(block)[1].read_text(encoding="utf-8").partition("\n")[2])
        except (OSError, ValueError, ValidationError):
            return None

    def write(self, block: int, tensors: Mapping[str, Tensor], record: Record) -> None:
        """Keep a block: a kill at any moment leaves either all of it or nothing that `read` accepts. Raises
        DiskFull, and leaves no block."""
        needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        home = self.folder.parent.parent
        if free_bytes(home) < needed + MARGIN:
            raise DiskFull(str(home), needed)
        try:
            self._write(block, tensors, record)
        except Exception as error:  # safetensors has an error of its own
            if is_full(error, home):
                raise DiskFull(str(home), needed) from error
            raise

    def _write(self, block: int, tensors: Mapping[str, Tensor], record: Record) -> None:
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        tensor_file, record_file = self._paths(block)
        plain = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
        record_file.unlink(missing_ok=True)
        _replace(tensor_file, lambda path: save_file(plain, path))
        record_text = record.model_dump_json()
        text = f"{_both(tensor_file, record_text)}\n{record_text}"
        _replace(record_file, lambda path: path.write_text(text, encoding="utf-8"))

    def records(self) -> list[tuple[Path, Record]]:
        """The file of tensors and the record of every block that is whole."""
        found: list[tuple[Path, Record]] = []
        for block in range(len(self)):
            tensor_file, record_file = self._paths(block)
            digest, _, text = record_file.read_text(encoding="utf-8").partition("\n")
            if digest == _both(tensor_file, text):
                found.append((tensor_file, self._record.model_validate_json(text)))
        return found

    def __len__(self) -> int:
        """Number of committed blocks."""
        return len(tuple(self.folder.glob("block-*.json")))

    def _paths(self, block: int) -> tuple[Path, Path]:
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


def _both(tensor_file: Path, record_text: str) -> str:
    """Checksum of the tensors and the record together."""
    with tensor_file.open("rb") as file:
        tensors = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(f"{tensors}\n{record_text}".encode()).hexdigest()
