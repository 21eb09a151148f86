"""Rows of text with a checksum each, in a database that may be damaged: what can be read is read, what cannot is counted and told.

    value of a row:  sha256 HEX\\nTEXT        (rows that releases before this one wrote hold TEXT alone)
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from cache.damaged import DamagedStore, missing, partly_read, unreadable
from cache.disk import decode, is_text, open_rows, unfollowed
from cache.space import DiskFull, Reserve, is_full

_Model = TypeVar("_Model", bound=BaseModel)
_Value = TypeVar("_Value")
_PREFIX = "sha256 "
_SCANNED = 64 * 2**20  # bytes of a database that is read whole when it is opened: pages of a list read only what they show
_MARK = "made"  # a file beside the database from its first opening on: without it an empty database is a new one


class CheckedRows:
    """Text by key. Safe between threads and processes.

    `broken`: why the database as a whole cannot be relied on, "" where it can; `damaged`: keys of rows whose text is not what was
    written. Both grow as rows are read. Raises DamagedStore where something was to be written that could not be.
    """

    def __init__(self, folder: Path, reserve: Reserve) -> None:
        """Raises DamagedStore for a database that was there and is empty or gone, OSError or sqlite3.Error for one that does not open."""
        file, mark = folder / "cache.db", folder / _MARK
        if mark.exists() and not (file.exists() and file.stat().st_size):
            raise DamagedStore(missing(file))
        self.folder, self.broken, self._reserve, self._inside = folder, "", reserve, threading.local()
        self.damaged, self.changed = set[str](), unfollowed  # `changed` is called with each row that is written
        try:
            self._rows = self._write(lambda: open_rows(folder))
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            raise DamagedStore(unreadable(file, error)) from error
        mark.touch()
        self._check_file(file)

    def get(self, key: str) -> str | None:
        """The text as it was written; None if there is none, or a damaged one."""
        try:
            value = self._rows.get(key, retry=True)
        except sqlite3.DatabaseError as error:
            self._note(error)
            return None
        return self.text(key, value) if isinstance(value, str) else None

    def text(self, key: str, value: str) -> str | None:
        """The text of a row as it is stored, without its checksum; None for a damaged one, which is remembered."""
        if value.startswith(_PREFIX):
            digest, _, text = value.removeprefix(_PREFIX).partition("\n")
            whole = digest == _digest(text)
        else:
            text, whole = value, is_text(value)
        if not whole:
            self.damaged.add(key)
        return text if whole else None

    def read(self, key: str, model: type[_Model]) -> _Model | None:
        """The row as a model; None if there is none that this version can read."""
        text = self.get(key)
        try:
            return None if text is None else model.model_validate_json(text)
        except ValidationError:
            return None

    def set(self, key: str, text: str) -> None:
        """Keep a text, whatever was there. Raises DiskFull."""
        try:
            self._write(lambda: self._rows.set(key, f"{_PREFIX}{_digest(text)}\n{text}", retry=True), reserve=False)
        except sqlite3.DatabaseError as error:
            self._note(error)
            raise DamagedStore(self.broken) from error
        self.damaged.discard(key)
        self.changed(key, text)

    def delete(self, key: str) -> None:
        """Remove a row; nothing where there is none. On a full disk, the reserve makes room for it."""
        try:
            self._write(lambda: self._rows.delete(key, retry=True))
        except sqlite3.DatabaseError as error:
            self._note(error)
            raise DamagedStore(self.broken) from error
        self.damaged.discard(key)

    def all_keys(self) -> Iterator[str]:
        """All keys; of a damaged database those before and behind what cannot be read."""
        seen: set[object] = set()
        for back in (False, True):
            try:
                for key in self._rows.iterkeys(reverse=back):
                    if key in seen:
                        return
                    seen.add(key)
                    if isinstance(key, str):
                        yield key
            except sqlite3.DatabaseError as error:
                self._note(error)
            else:
                return

    def keys_from(self, prefix: str) -> tuple[str, ...]:
        """All keys with this beginning, found by the database's index; of a damaged database those that can be read."""
        try:
            rows = self._rows.query("SELECT key FROM Cache WHERE key >= ? AND key < ?", (prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)))
        except sqlite3.DatabaseError:
            return tuple(key for key in self.all_keys() if key.startswith(prefix))
        return tuple(key for (key,) in rows if isinstance(key, str))

    def prepare(self, statements: Iterable[str]) -> None:
        """Make indexes where they are missing; a damaged or full database goes on without them."""
        try:
            for statement in statements:
                self._rows.query(statement, ())
        except sqlite3.DatabaseError as error:
            if not is_full(error, self.folder):
                self._note(error)

    def query(self, statement: str, values: Sequence[object]) -> list[tuple[object, ...]]:
        """Rows of a SELECT. Raises sqlite3.DatabaseError, and remembers a damaged file."""
        try:
            return self._rows.query(statement, values)
        except sqlite3.DatabaseError as error:
            self._note(error)
            raise

    def shrink(self) -> None:
        """Rewrite the file without free pages, and empty its log; a database that is being written, or has no room for it, stays."""
        with suppress(sqlite3.OperationalError):
            for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                self._rows.query(statement, ())

    def atomically(self, work: Callable[[], _Value]) -> _Value:
        """The value of `work`: all that it reads and writes is one step for everybody else. On a full disk the reserve is given up, and
        `work` is done once more. Raises DiskFull."""

        def whole() -> _Value:
            with self._rows.transact(retry=True):
                return work()

        return self._write(whole)

    def _write(self, write: Callable[[], _Value], *, reserve: bool = True) -> _Value:
        """The value of `write`. Without room it raises DiskFull; with `reserve` that is given up first. Looked after by the outermost."""
        if getattr(self._inside, "write", False):
            return write()
        self._inside.write = True
        try:
            while True:
                try:
                    return write()
                except (OSError, sqlite3.Error) as error:
                    if not is_full(error, self.folder):
                        raise
                    if not (reserve and self._reserve.give_up()):
                        raise DiskFull(str(self.folder.parent.parent)) from error
        finally:
            self._inside.write = False

    def close(self) -> None:
        """Close this thread's connections."""
        self._rows.close()

    def _check_file(self, file: Path) -> None:
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=60)
        connection.text_factory = decode
        try:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != ("ok",):
                self._note(sqlite3.DatabaseError(str(found[0])))
            if file.stat().st_size < _SCANNED:
                for key, value in connection.execute("SELECT key, value FROM Cache WHERE typeof(value) = 'text'"):
                    self.text(str(key), value)
        except sqlite3.DatabaseError as error:
            self._note(error)
        finally:
            connection.close()

    def _note(self, error: sqlite3.DatabaseError) -> None:
        """Tell a damaged file from one that is only busy or full, which is raised again."""
        if isinstance(error, sqlite3.OperationalError) and "no such table" not in str(error):
            raise error
        self.broken = partly_read(self.folder / "cache.db", error)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
