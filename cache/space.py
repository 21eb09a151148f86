"""A reserve on the disk that is given up for small writes when there is no other room.

    HOME/store/reserve     2 MiB of zeros; made again as soon as there is plenty of room
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from core.data.space import MARGIN, DiskFull, free_bytes, is_full

__all__ = ["MARGIN", "DiskFull", "Reserve", "free_bytes", "is_full"]

_RESERVE = 2 * 2**20
_PLENTY = 32 * 2**20  # free bytes at which the reserve is made again


class Reserve:
    """A file that is given up where a small write finds no room. Safe between threads and processes."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def give_up(self) -> bool:
        """True if something was given up, whose room is free now: the reserve, else the Gram matrices that were made first, which are
        collected again when they are asked for."""
        try:
            self._file.unlink()
        except OSError:
            folders = sorted((self._file.parent.parent / "grams").glob("*"), key=lambda folder: folder.stat().st_mtime)
            if not folders:
                return False
            shutil.rmtree(folders[0], ignore_errors=True)
            return not folders[0].exists()
        return True

    def fill(self) -> None:
        """Make the reserve, where it is missing and there is plenty of room."""
        if self._file.exists() or free_bytes(self._file.parent) < _PLENTY:
            return
        part = self._file.with_name(f"{self._file.name}.{os.getpid()}.tmp")
        try:
            part.write_bytes(bytes(_RESERVE))
            part.replace(self._file)
        except OSError:
            part.unlink(missing_ok=True)
