"""A diskcache that never unpickles and never leaves its folder.

diskcache loads pickles wherever a row says so, in values and in keys (CVE-2025-69872): whoever can write one row of the database
then runs code in the web server. And a row's filename is joined to the folder unchecked: it may name any file, to read or remove.
"""

# diskcache has no types
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportIncompatibleMethodOverride=false
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, cast

from diskcache import Cache, Disk
from diskcache.core import MODE_PICKLE, UNKNOWN

Value = str | bytes | int | float


def decode(stored: bytes) -> str:
    """Text of a row. Bytes that are no UTF-8 are kept apart, so that one damaged row is not the end of reading all others."""
    return stored.decode("utf-8", "surrogateescape")


def is_text(found: str) -> bool:
    """False for a text with bytes that `decode` kept apart."""
    try:
        found.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Cache(Cache):
    """diskcache's transactions, but for those that SQLite itself has rolled back (a full disk): diskcache then replaces the reason by
    "no transaction is active", and a later BEGIN that fails for any reason it repeats without end."""

    @contextmanager
    def _transact(self, retry: bool = False, filename: str | None = None) -> Generator[tuple[Any, Any]]:
        thread, sql = threading.get_ident(), self._sql
        gone: list[str | None] = []
        outermost = self._txn_id != thread
        while outermost:
            try:
                sql("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_BUSY) & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    self._roll_back()
                    raise
        if outermost:
            self._txn_id = thread
        try:
            yield sql, gone.append
            if outermost:
                self._txn_id = None
                sql("COMMIT")
        except BaseException:
            if outermost:
                self._txn_id = None
                self._roll_back()
            if filename is not None:
                self._disk.remove(filename)
            raise
        for name in gone:
            if name is not None:
                self._disk.remove(name)

    @property
    def _con(self) -> sqlite3.Connection:
        connection = cast(sqlite3.Connection, cast(Any, Cache._con).fget(self))
        connection.text_factory = decode
        return connection

    def query(self, statement: str, values: Sequence[object]) -> list[tuple[object, ...]]:
        """All rows of one statement."""
        return self._sql_retry(statement, values).fetchall()

    def _roll_back(self) -> None:
        if self._con.in_transaction:
            with suppress(sqlite3.Error):
                self._sql("ROLLBACK")


class Rows(Protocol):
    """The part of diskcache.Cache that is used. Safe between threads and processes."""

    def get(self, key: str, *, retry: bool) -> Value | None: ...
    def set(self, key: str, value: str, *, retry: bool) -> bool: ...
    def delete(self, key: str, *, retry: bool) -> bool: ...
    def iterkeys(self, reverse: bool = False) -> Iterator[Value]: ...
    def transact(self, *, retry: bool) -> AbstractContextManager[None]: ...
    def query(self, statement: str, values: Sequence[object]) -> list[tuple[object, ...]]: ...
    def close(self) -> None: ...


def open_rows(folder: Path) -> Rows:
    """Rows in a folder: nothing is evicted, nothing expires, nothing is pickled."""
    return cast(Rows, _Cache(str(folder), disk=SafeDisk, eviction_policy="none", cull_limit=0, statistics=0, tag_index=0))


class Refused(OSError):
    """A row that needs pickle, or a file outside the folder. diskcache's readers take an OSError for a missing value."""


class SafeDisk(Disk):
    """Keys and values are text, bytes, whole numbers of 64 bits or floats; anything else is refused, both ways."""

    def put(self, key: object) -> tuple[Any, bool]:
        _check(key)
        return super().put(key)

    def get(self, key: Any, raw: bool) -> Value:
        """A pickled key is given back as its bytes, never loaded: nothing is stored under them, so it finds nothing."""
        return cast(Value, super().get(key, raw)) if raw else bytes(key)

    def store(self, value: object, read: bool, key: Any = UNKNOWN) -> tuple[Any, ...]:
        if not read:
            _check(value)
        return super().store(value, read, key)

    def _write(self, full_path: str, iterator: Any, mode: str, encoding: str | None = None) -> int | None:
        """Write a value's file: whole, or not at all."""
        try:
            return super()._write(full_path, iterator, mode, encoding)
        except OSError:
            with suppress(OSError):
                os.unlink(full_path)
            raise

    def fetch(self, mode: int, filename: str | None, value: object, read: bool) -> Any:
        if mode == MODE_PICKLE:
            raise Refused("a pickled row is never loaded")
        if filename is not None:
            self._inside(filename)
        return super().fetch(mode, filename, value, read)

    def remove(self, file_path: str) -> None:
        """Remove a file of this folder; a name that leads out of it is left alone."""
        try:
            self._inside(file_path)
        except Refused:
            return
        super().remove(file_path)

    def _inside(self, filename: str) -> None:
        folder = Path(os.path.realpath(cast(str, self._directory)))
        if not Path(os.path.realpath(folder / filename)).is_relative_to(folder):
            raise Refused("a row names a file outside its folder")


def _check(value: object) -> None:
    fits = type(value) in (str, bytes, float) or (type(value) is int and -(2**63) <= value < 2**63)
    if not fits:
        raise TypeError(f"{type(value).__name__} is not stored: text, bytes, 64-bit integers and floats are.")


def unfollowed(_key: str, _text: str, /) -> None:
    """Default of `CheckedRows.changed`: nobody follows what is written."""
