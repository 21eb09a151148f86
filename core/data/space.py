"""Room on the disk: a full disk told from other errors."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from pathlib import Path

from core.spec.errors import PruneError

_NOTHING = 2**20  # fewer free bytes than this make an input/output error of SQLite one of room
MARGIN = 4 * 2**20  # that a large write leaves to the small ones


class DiskFull(PruneError):
    """A write that found no room. `needed`: bytes, where they are known."""

    def __init__(self, folder: str, needed: int = 0) -> None:
        size = f", and about {needed / 1e6:.1f} MB are needed" if needed else ""
        super().__init__(f"The disk below {folder} is full: {free_bytes(Path(folder)) / 1e6:.1f} MB are free{size}. Delete runs you no "
                         "longer need (Runs page, or `python -m core clean`), or other files there.")
        self.folder, self.needed = folder, needed

    def __reduce__(self) -> tuple[type[DiskFull], tuple[str, int]]:
        return DiskFull, (self.folder, self.needed)


def is_full(error: BaseException | None, folder: Path) -> bool:
    """True for an error of the system or of SQLite, or one that such an error led to, that means: no room, or no quota."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        text = str(error).lower()
        if "no space left on device" in text or "(os error 28)" in text or (
                isinstance(error, sqlite3.OperationalError) and "disk is full" in text):
            return True
        if isinstance(error, sqlite3.OperationalError) and "disk i/o error" in text and free_bytes(folder) < _NOTHING:
            return True
        error = error.__cause__ or error.__context__
    return False


def free_bytes(folder: Path) -> int:
    """Free bytes of the disk that holds a folder, or would hold it."""
    return shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
