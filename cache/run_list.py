"""Records of runs, and the list of them: chosen, ordered, counted and cut into pages by the database. No torch.

The indexes are of the records' JSON itself, so any row that is written is in them, by whatever version. A row that the database cannot
read as JSON, or a database that is damaged, is looked at row by row instead.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from typing import cast, get_args

from pydantic import ValidationError

from cache.keys import is_key
from cache.records import ACTIVE, RunRecord, RunState
from cache.rows import CheckedRows

_JSON = "substr(value, instr(value, char(10)) + 1)"  # behind the checksum
_FIELDS = {name: f"CASE WHEN json_valid({_JSON}) THEN json_extract({_JSON}, '$.{name}') END"
           for name in ("state", "submitted", "pinned", "group")}
_PINNED, _SUBMITTED, _STATE, _GROUP = (_FIELDS[name] for name in ("pinned", "submitted", "state", "group"))
_INDEXES = (
    f"CREATE INDEX IF NOT EXISTS Listed ON Cache (({_PINNED}) DESC, ({_SUBMITTED}) DESC, key)",
    f"CREATE INDEX IF NOT EXISTS ListedByState ON Cache (({_STATE}), ({_PINNED}) DESC, ({_SUBMITTED}) DESC, key)",
)


class RunList:
    """Records of runs in checked rows. Safe to share between threads and processes."""

    def __init__(self, rows: CheckedRows) -> None:
        self._records = rows
        rows.prepare(_INDEXES)

    def record(self, key: str) -> RunRecord | None:
        """The record of a run, or None if there is none that this version can read."""
        text = self._records.get(key)
        return None if text is None else _record(text)

    def put_record(self, record: RunRecord) -> None:
        """Write a record, whatever was there."""
        if not is_key(record.key):
            raise ValueError(f"not a key: {record.key!r}")
        self._records.set(record.key, record.model_dump_json())

    def change_record(self, key: str, change: Callable[[RunRecord | None], RunRecord | None]) -> RunRecord | None:
        """Read, change and write in one transaction. `change` may return None to leave things be. Returns what is there then.
        Raises DiskFull."""

        def work() -> RunRecord | None:
            before = self.record(key)
            after = change(before)
            if after is None or after == before:
                return before
            self.put_record(after)
            return after

        return self._records.atomically(work)

    def update_record(self, key: str, **changes: object) -> RunRecord:
        """Change fields of a record in one transaction. Raises KeyError if there is no such record."""

        def change(record: RunRecord | None) -> RunRecord:
            if record is None:
                raise KeyError(key)
            return RunRecord.model_validate({**dict(record), **changes})

        return cast(RunRecord, self.change_record(key, change))

    def runs(self, *, offset: int = 0, limit: int = 50, states: Collection[str] | None = None) -> tuple[RunRecord, ...]:
        """A page of the records: pinned ones first, then the newest."""
        chosen = (f"SELECT key, value FROM Cache WHERE {_where(states)} "
                  f"ORDER BY ({_PINNED}) DESC, ({_SUBMITTED}) DESC, key LIMIT ? OFFSET ?")
        try:
            rows = self._records.query(chosen, (*(states or ()), limit, offset))
        except sqlite3.DatabaseError:
            found = sorted(self._each(states), key=lambda record: (not record.pinned, -record.submitted, record.key))
            return tuple(found[offset:offset + limit])
        texts = (self._records.text(str(key), value) for key, value in rows if isinstance(value, str))
        return tuple(record for text in texts if text is not None and (record := _record(text)) is not None)

    def count(self, states: Collection[str] | None = None) -> int:
        """Number of records, of these states or of all."""
        chosen = get_args(RunState) if states is None else states
        try:
            ((count,),) = self._records.query(f"SELECT count(*) FROM Cache WHERE {_where(chosen)}", tuple(chosen))
        except sqlite3.DatabaseError:
            return sum(1 for _ in self._each(states))
        return int(cast(int, count))

    def count_active(self, person: str) -> int:
        """Number of runs of a person, in whatever groups, that are queued or running."""
        chosen = f"SELECT count(*) FROM Cache WHERE {_where(ACTIVE)} AND (({_GROUP}) = ? OR substr(({_GROUP}), 1, ?) = ?)"
        try:
            ((count,),) = self._records.query(chosen, (*ACTIVE, person, len(person) + 1, f"{person}-"))
        except sqlite3.DatabaseError:
            return sum(record.group.partition("-")[0] == person for record in self._each(ACTIVE))
        return int(cast(int, count))

    def together(self, work: Callable[[], None]) -> None:
        """Call `work` in one transaction: all that it reads and writes of records is one step for everybody else. Raises DiskFull."""
        self._records.atomically(work)

    @property
    def skipped(self) -> int:
        """Number of rows that are no record of this version, or damaged. Reads all of them."""
        return sum(1 for key in self._records.all_keys() if self.record(key) is None)

    def active(self) -> tuple[RunRecord, ...]:
        """Records of what is queued or running, the oldest first."""
        found = self.runs(limit=1_000_000, states=ACTIVE)
        return tuple(sorted(found, key=lambda record: (record.submitted, record.key)))

    def _each(self, states: Collection[str] | None) -> Iterator[RunRecord]:
        records = map(self.record, self._records.all_keys())
        return (record for record in records if record is not None and (states is None or record.state in states))


def _where(states: Collection[str] | None) -> str:
    if states is None:
        return f"({_STATE}) IS NOT NULL"
    return f"({_STATE}) IN ({', '.join('?' for _ in states)})"


@lru_cache(maxsize=16_384)
def _record(text: str) -> RunRecord | None:
    try:
        return RunRecord.model_validate_json(text)
    except ValidationError:
        return None
