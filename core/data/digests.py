"""sha256 of whole files. Large ones are read once: the digest is remembered below PRUNESCOPE_HOME by path, size, times and inode.

A sample of a file is no address: what changes between two samples would be served old results.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from core.data.files import Stamp, current
from core.data.places import default_home

LARGE = 64 << 20  # bytes from which a digest is kept on disk: a tenth of a second of reading
_PIECE = 4 << 20
_read_here: dict[Stamp, str] = {}  # by this process: a home that cannot be written must not make it read again and again
_only_remembered: ContextVar[bool] = ContextVar("only_remembered", default=False)


class NotReadYet(Exception):
    """Large files whose digests are not known, where reading them is left to others. No PruneError: nothing is to be mended."""

    def __init__(self, files: Sequence[Stamp]) -> None:
        super().__init__(f"{len(files)} large files were not read yet")
        self.files = tuple(files)


@contextmanager
def remembered_only() -> Generator[None]:
    """Inside, in this thread, large files are not read: NotReadYet is raised for one whose digest is not remembered."""
    token = _only_remembered.set(True)
    try:
        yield
    finally:
        _only_remembered.reset(token)


def require_read(files: Sequence[Stamp]) -> None:
    """Raises NotReadYet inside `remembered_only` if there are files to read."""
    if files and _only_remembered.get():
        raise NotReadYet(files)


def digest(known: Stamp, progress: Callable[[int], None] | None = None) -> str:
    """sha256 of the file, hexadecimal. `progress(bytes)` is told of each piece that is read, and of a remembered file at once.

    Raises OSError where it cannot be read, NotReadYet inside `remembered_only`.
    """
    found = remembered(known)
    if found is None and known.size > LARGE:
        require_read([known])
        found = _read(known, progress)
    elif found is None:
        found = _digest_of_small(known)
    elif progress is not None:
        progress(known.size)
    return found


def remembered(known: Stamp) -> str | None:
    """The digest of a large file where it was read before and has not changed since; None for others."""
    if known.size <= LARGE:
        return None
    if known in _read_here:
        return _read_here[known]
    try:
        kept = json.loads(_place(known).read_text(encoding="utf-8"))
        return str(kept["sha256"]) if kept["stamp"] == list(known) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=4096)
def _digest_of_small(known: Stamp) -> str:
    with open(known.path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(known: Stamp, progress: Callable[[int], None] | None) -> str:
    found = hashlib.sha256()
    with open(known.path, "rb") as stream:
        while piece := stream.read(_PIECE):
            found.update(piece)
            if progress is not None:
                progress(len(piece))
    if current(known) == known:
        _read_here[known] = found.hexdigest()
        _keep(known, found.hexdigest())
    return found.hexdigest()


def _keep(known: Stamp, found: str) -> None:
    """A disk that is full costs the next process the same time again, and nothing else."""
    place = _place(known)
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_text(json.dumps({"stamp": list(known), "sha256": found}), encoding="utf-8")
        part.replace(place)
    except OSError:
        with suppress(OSError):
            part.unlink()


def _place(known: Stamp) -> Path:
    return default_home() / "digests" / f"{hashlib.sha256(os.fsencode(known.path)).hexdigest()[:32]}.json"
