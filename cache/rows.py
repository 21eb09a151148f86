"""Rows of text with a checksum each, in a database that may be damaged: what can be read is read, what cannot is counted and told.

    value of a row:  sha256 HEX\\nTEXT        (rows that releases before this one wrote hold TEXT alone)
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from cache.disk import open_rows
from core.spec.errors import PruneError

_Model = TypeVar("_Model", bound=BaseModel)
_PREFIX = "sha256 "
_MARK = "made"  # a file beside the database from its first opening on: without it an empty database is a new one


class DamagedStore(PruneError):
    """A database that cannot be written, or one that is gone though it was there."""


class CheckedRows:
    """Text by key. Safe between threads and processes.

    `broken`: why the database as a whole cannot be relied on, "" where it can; `damaged`: keys of rows whose text is not what was
    written. Both grow as rows are read. Raises DamagedStore where something was to be written that could not be.
    """

    def __init__(self, folder: Path) -> None:
        """Raises DamagedStore for a database that was there and is empty or gone, OSError or sqlite3.Error for one that does not open."""
        file, mark = folder / "cache.db", folder / _MARK
        if mark.exists() and not (file.exists() and file.stat().st_size):
            raise DamagedStore(f"The database {file} is {'empty' if file.exists() else 'gone'}, and runs were kept in it. Put the folder "
                               f"{folder} back from a backup; or remove that folder, and PruneScope starts with an empty list.")
        self.folder, self.broken = folder, ""
        self.damaged: set[str] = set()
        self._rows = open_rows(folder)
        mark.touch()
        self._check_file(file)

    def get(self, key: str) -> str | None:
        """The text as it was written; None if there is none, or a damaged one."""
        try:
            value = self._rows.get(key, retry=True)
        except sqlite3.DatabaseError as error:
            self._note(error)
            return None
        if not isinstance(value, str):
            return None
        if not value.startswith(_PREFIX):
            return value
        digest, _, text = value.removeprefix(_PREFIX).partition("\n")
        if digest != _digest(text):
            self.damaged.add(key)
            return None
        return text

    def read(self, key: str, model: type[_Model]) -> _Model | None:
        """The row as a model; None if there is none that this version can read."""
        text = self.get(key)
        try:
            return None if text is None else model.model_validate_json(text)
        except ValidationError:
            return None

    def set(self, key: str, text: str) -> None:
        """Keep a text, whatever was there."""
        try:
            self._rows.set(key, f"{_PREFIX}{_digest(text)}\n{text}", retry=True)
        except sqlite3.DatabaseError as error:
            self._note(error)
            raise DamagedStore(self.broken) from error
        self.damaged.discard(key)

    def delete(self, key: str) -> None:
        """Remove a row; nothing where there is none."""
        try:
            self._rows.delete(key, retry=True)
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

    def transact(self) -> AbstractContextManager[None]:
        """One transaction: all that is read and written inside is one step for everybody else."""
        return self._rows.transact(retry=True)

    def close(self) -> None:
        """Close this thread's connections."""
        self._rows.close()

    def _check_file(self, file: Path) -> None:
        connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=60)
        try:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != ("ok",):
                self._note(sqlite3.DatabaseError(str(found[0])))
        except sqlite3.DatabaseError as error:
            self._note(error)
        finally:
            connection.close()

    def _note(self, error: sqlite3.DatabaseError) -> None:
        """Tell a damaged file from one that is only busy or full, which is raised again."""
        if isinstance(error, sqlite3.OperationalError) and "no such table" not in str(error):
            raise error
        self.broken = (
            f"The database {self.folder / 'cache.db'} is damaged ({error}). What can be read is shown, the rest is missing. Stop "
            f"PruneScope and keep a copy of {self.folder}; then put that folder back from a backup, or remove it to start anew.")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
