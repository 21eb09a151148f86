"""Outbox of a job, written and not fetched yet: rows, files of finished blocks, a zip. No torch."""

from __future__ import annotations

import threading
from pathlib import Path

from app.workers.away.parcel import INLINE, Item
from cache import Store

_STAY = ("plan-", "rate-")  # rows about this host


class Outbox:
    """Of one job on its own store. Rows of one name count once, as they were written last. Safe to share between threads."""

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key
        self._guard = threading.Lock()
        self._rows: dict[str, tuple[int, bytes]] = {}
        self._files: dict[int, Path] = {}
        self._seen: set[Path] = set()
        self._count = 0
        self._started = False

    def start(self) -> None:
        """From now on what is written is to be fetched; blocks that are there already came from home."""
        self._seen = set(self._store.journal(self._key).folder.glob("block-*"))
        self._store.follow(self._changed)
        self._started = True

    def items(self) -> tuple[Item, ...]:
        """Everything to fetch: a block's tensors before its record, files before rows, rows in the order of their writing."""
        with self._guard:
            for path in self._new_files():
                self._count += 1
                self._files[self._count] = path
                self._seen.add(path)
            files = [Item(number=number, kind="zip" if path.suffix == ".zip" else "block", name=path.name, size=path.stat().st_size)
                     for number, path in self._files.items()]
            rows = [Item(number=number, kind="row", name=name, size=len(text), text=text.decode() if len(text) <= INLINE else None)
                    for name, (number, text) in self._rows.items()]
        return (*files, *rows)

    def read(self, number: int, offset: int, length: int) -> bytes:
        """A piece of an item; nothing where it is not there any more."""
        with self._guard:
            path = self._files.get(number)
            row = next((text for known, text in self._rows.values() if known == number), b"")
        if path is None:
            return row[offset:offset + length]
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def take(self, numbers: list[int]) -> None:
        """Forget items that were fetched; a row that was written again since stays."""
        with self._guard:
            for number in numbers:
                self._files.pop(number, None)
            self._rows = {name: kept for name, kept in self._rows.items() if kept[0] not in numbers}

    def _changed(self, name: str, text: str) -> None:
        if not name.startswith(_STAY):
            with self._guard:
                self._count += 1
                self._rows.pop(name, None)  # the last written is the last fetched
                self._rows[name] = self._count, text.encode()

    def _new_files(self) -> list[Path]:
        if not self._started:
            return []
        folder = self._store.journal(self._key).folder
        records = sorted(path for path in folder.glob("block-*.json") if path not in self._seen)
        found = [path for record in records for path in (record.with_suffix(".safetensors"), record)]
        zipped = self._store.exports.path(self._key)
        return [*found, zipped] if zipped.exists() and zipped not in self._seen else found  # it appears there whole
