"""Retention: what is old or too much is chosen, told and removed. What is pinned, queued or running is always kept. No torch.

    choose(store, policy)   what would go, and why; nothing is removed        remove(store, entries)   and the databases shrink
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from cache.keys import is_key
from cache.store import Store
from core.run.kept_blocks import forgotten
from core.spec.errors import BadInput

_DAY = 24 * 3600.0
_LEFT_OVER_SECONDS = 3600.0  # files of a write that was interrupted; younger ones may be being written


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Limits: days since a run ended or Gram matrices were made, and gigabytes of all that is kept. None: without a limit."""

    days: float | None = None
    gigabytes: float | None = None

    def __post_init__(self) -> None:
        for field, value in (("days", self.days), ("gigabytes", self.gigabytes)):
            if value is not None and not value >= 0:
                raise BadInput(field, value, "a number, 0 or more", "Change it and try again.")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Something that is kept: `bytes` of its files, `rows` bytes of the databases. `when`: seconds since 1970 when it was made or ended;
    `why` it goes."""

    kind: str  # run, gram matrices, left over
    key: str
    bytes: int
    when: float
    why: str = ""
    rows: int = 0


def policy_from_environment() -> Policy:
    """PRUNESCOPE_KEEP_DAYS and PRUNESCOPE_KEEP_GB, by which the workers clean once an hour; without them nothing expires.
    Raises BadInput."""
    found: dict[str, float | None] = {}
    for field, name in (("days", "PRUNESCOPE_KEEP_DAYS"), ("gigabytes", "PRUNESCOPE_KEEP_GB")):
        text = os.environ.get(name, "")
        try:
            found[field] = float(text) if text else None
        except ValueError as error:
            raise BadInput(name, text, "a number, 0 or more", "Change it, and start PruneScope again.") from error
    return Policy(**found)


def choose(store: Store, policy: Policy) -> tuple[Entry, ...]:
    """Left-over files, what is older than the policy's days, then the oldest until the rest is within its gigabytes: Gram matrices,
    which are collected again, before runs."""
    now = time.time()
    gone = [*_left_over(store, now)]
    kept: list[Entry] = []
    for entry in (*_grams(store), *_runs(store)):
        if policy.days is not None and entry.when < now - policy.days * _DAY:
            gone.append(_because(entry, f"older than {policy.days:g} days"))
        else:
            kept.append(entry)
    if policy.gigabytes is not None:
        over = used_bytes(store) - sum(entry.bytes for entry in gone) - policy.gigabytes * 1e9
        with_files = [entry for entry in kept if entry.bytes]  # the rows of a run alone take little: they go by age only
        for entry in sorted(with_files, key=lambda entry: (entry.kind == "run", entry.when)):
            if over <= 0:
                break
            over -= entry.bytes
            gone.append(_because(entry, f"more than {policy.gigabytes:g} GB"))
    return tuple(gone)


def remove(store: Store, entries: Iterable[Entry]) -> None:
    """Remove what was chosen, but for runs that were pinned or asked for again meanwhile; give back the databases' free pages."""
    for entry in entries:
        if entry.kind == "run":
            record = store.record(entry.key)
            if record is None or not (record.active or record.pinned):
                store.delete(entry.key)
        else:
            path = store.home / entry.key
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    store.shrink()


def used_bytes(store: Store) -> int:
    """Bytes of databases, blocks, Gram matrices and exports."""
    return sum(_size(store.home / name) for name in ("store", "journals", "grams", "exports", "unfinished"))


def _runs(store: Store) -> Iterator[Entry]:
    """Runs that have ended and are not pinned, with the bytes of their files."""
    rows = _row_bytes(store)
    for record in store.runs(limit=1_000_000, states=("finished", "failed", "cancelled")):
        if not record.pinned:
            size = _size(store.journal(record.key).folder) + _size(store.exports.path(record.key))
            yield Entry(kind="run", key=record.key, bytes=size, when=record.ended or record.submitted, rows=rows[record.key])


def _row_bytes(store: Store) -> Counter[str]:
    """About the bytes of a run's rows in both databases, by its key; nothing of one that is damaged."""
    found: Counter[str] = Counter()
    for table in store.tables:
        with suppress(sqlite3.DatabaseError):
            for name, size in table.query("SELECT key, size + coalesce(length(value), 0) FROM Cache", ()):
                found[str(name).rpartition("-")[2]] += cast(int, size)
    return found


def _grams(store: Store) -> Iterator[Entry]:
    for folder in (store.home / "grams").glob("*"):
        yield Entry(kind="gram matrices", key=str(folder.relative_to(store.home)), bytes=_size(folder), when=folder.stat().st_mtime)


def _left_over(store: Store, now: float) -> Iterator[Entry]:
    """Blocks whose run is gone, and files of interrupted writes."""
    journals = [folder for folder in (store.home / "journals").glob("*") if not is_key(folder.name) or store.record(folder.name) is None]
    parts = [file for name in ("journals", "grams", "store") for file in (store.home / name).rglob("*.tmp")]
    for path in (*journals, *(part for part in parts if part.parent not in journals)):
        when = path.stat().st_mtime
        if when < now - _LEFT_OVER_SECONDS:
            yield Entry(kind="left over", key=str(path.relative_to(store.home)), bytes=_size(path), when=when, why="belongs to no run")
    for path in forgotten(store.home / "unfinished"):
        yield Entry(kind="left over", key=str(path.relative_to(store.home)), bytes=_size(path), when=path.stat().st_mtime,
                    why="a command that was interrupted a week ago")


def _because(entry: Entry, why: str) -> Entry:
    return replace(entry, why=why)


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; those that go meanwhile count nothing."""
    total = 0
    for file in (path, *path.rglob("*")):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue
    return total


