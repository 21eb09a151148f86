"""Stamps of files: path, size, times and inode, by which a change is noticed without reading. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    """State of a file. `ctime_ns` also moves with its permissions and links; nobody can set it back."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def written(self) -> tuple[int, int, int]:
        """The part that changes when the file is written or replaced, and not with its permissions."""
        return self.size, self.mtime_ns, self.inode


def stamp(file: Path) -> Stamp:
    """The stamp of a file; links are followed. Raises OSError where there is none."""
    stat = file.stat()
    return Stamp(str(file), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def current(before: Stamp) -> Stamp | None:
    """The stamp of the same path now, or None if the file is gone."""
    try:
        return stamp(Path(before.path))
    except OSError:
        return None
