"""The store: records, results, plans and journals below PRUNESCOPE_HOME, for several processes at once. No torch.

    HOME/store/records     one small row a run         HOME/store/documents   results, plans, dense evaluations, as JSON
    HOME/journals/KEY      finished blocks of a run            HOME/grams/KEY          Gram matrices of a dense model
    HOME/exports/KEY.zip   a pruned model to fetch, for a day (cache/exports.py)

Nothing is ever evicted. What an older version wrote and this one cannot read counts as missing (`skipped` says how many).
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import BaseModel

from cache.exports import Exports
from cache.grams import GramFolder
from cache.guided import GuidedRuns
from cache.keys import is_key
from cache.measurements import Collecting, Measurements
from cache.records import QueuePause
from cache.requests import Requests
from cache.rows import CheckedRows, DamagedStore
from cache.run_list import RunList
from cache.scores import Scores
from cache.space import DiskFull, Reserve, free_bytes
from cache.trouble import damage, trouble
from core.data.places import default_home
from core.records import Evaluated, Plan, RunResult, SeenRate
from core.run.kept_blocks import BlockJournal
from core.spec.errors import BadInput

_RATE_SECONDS = 24 * 3600  # a home may be taken to another machine
_RESERVE = 256 * 2**20  # left free for the database and everybody else


class Store(RunList):
    """Store of requests and results. Safe to share between threads; open one in each process."""

    def __init__(self, home: Path | None = None) -> None:
        """Raises BadInput for a folder that cannot be made or written, on a full disk, and for databases that are damaged."""
        self.home = (home or default_home()).absolute()
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.reserve = Reserve(self.home / "store" / "reserve")
            super().__init__(CheckedRows(self.home / "store" / "records", self.reserve))
            self._documents = CheckedRows(self.home / "store" / "documents", self.reserve)
            self.reserve.fill()
        except DiskFull as error:
            raise BadInput("PRUNESCOPE_HOME", str(self.home), "a folder on a disk that is not full", str(error)) from error
        except DamagedStore as error:
            raise BadInput("PRUNESCOPE_HOME", str(self.home), "a folder whose databases are whole", str(error)) from error
        except (OSError, sqlite3.Error) as error:
            raise BadInput("PRUNESCOPE_HOME", str(self.home), "a folder that can be written, on a disk that is not full",
                           f"{trouble(self.home, error)} Mend that, or start PruneScope with PRUNESCOPE_HOME set to another folder. "
                           "What is there stays as it is.") from error
        self.scores = Scores(self._documents)
        self.exports = Exports(self.home, self._documents)
        self.measurements = Measurements(self._documents)
        self.guided = GuidedRuns(self._documents)
        self.collecting = Requests(self._documents, "collecting", Collecting)

    def damage(self) -> tuple[str, ...]:
        """Damage that was met, and the remedy, in sentences for every page. Empty for a store that is whole."""
        return damage(self.home, self._records, self._documents)

    def result(self, key: str) -> RunResult | None:
        return self._documents.read(f"result-{key}", RunResult)

    def put_result(self, key: str, result: RunResult) -> None:
        self._write(f"result-{key}", result)

    def plan(self, key: str) -> Plan | None:
        """Its time for the best rate its device has shown lately, not for that of the moment when it was made."""
        plan = self._documents.read(f"plan-{key}", Plan)
        return plan and plan.at_rate(self.rate(plan.device))

    def put_plan(self, key: str, plan: Plan) -> None:
        self._write(f"plan-{key}", plan)
        if plan.matrix_rate is not None:
            self.put_rate(plan.device, plan.matrix_rate)

    def rate(self, device: str) -> float:
        """Multiply-adds a second, the best seen within a day; 0 where none is known."""
        seen = self._documents.read(f"rate-{device}", SeenRate)
        return seen.rate if seen is not None and time.time() < seen.when + _RATE_SECONDS else 0.0

    def put_rate(self, device: str, rate: float) -> None:
        """Keep a measured rate if it is the best so far."""
        if rate >= self.rate(device):
            self._write(f"rate-{device}", SeenRate(rate=rate, when=time.time()))

    def dense(self, key: str) -> Evaluated | None:
        return self._documents.read(f"dense-{key}", Evaluated)

    def put_dense(self, key: str, dense: Evaluated) -> None:
        self._write(f"dense-{key}", dense)

    def queue_pause(self) -> QueuePause:
        """Since when nothing is handed to workers."""
        return self._documents.read("queue-pause", QueuePause) or QueuePause()

    def pause_queue(self, paused: bool) -> None:
        """Hand nothing more to workers, or go on. What is being computed is finished."""
        if paused != (self.queue_pause().since is not None):
            self._write("queue-pause", QueuePause(since=time.time() if paused else None))

    @property
    def rows(self) -> CheckedRows:
        """The rows besides the records."""
        return self._documents

    @property
    def tables(self) -> tuple[CheckedRows, CheckedRows]:
        """The rows of records, and those besides them."""
        return self._records, self._documents

    def document(self, name: str) -> str | None:
        """Text of a row besides the records, by its full name; None if there is none."""
        return self._documents.get(name)

    def put_document(self, name: str, text: str) -> None:
        """Keep the text of such a row, which came from another store. Raises DiskFull."""
        self._documents.set(name, text)

    def documents(self, prefix: str) -> Iterator[str]:
        """Names of such rows that begin so."""
        return (name for name in self._documents.all_keys() if name.startswith(prefix))

    def follow(self, changed: Callable[[str, str], None]) -> None:
        """Have `changed(name, text)` called with each row that is written through this object; the name of a record is its key."""
        for rows in (self._records, self._documents):
            rows.changed = changed

    def journal(self, key: str) -> BlockJournal:
        """The finished blocks of a run."""
        if not is_key(key):
            raise ValueError(f"not a key: {key!r}")
        return BlockJournal(self.home / "journals" / key)

    def grams(self, key: str, *, full_is_error: bool = False) -> GramFolder:
        """The Gram matrices of a dense model on its calibration text, by `grams_key`. `full_is_error`: writing them raises DiskFull."""
        if not is_key(key):
            raise ValueError(f"not a key: {key!r}")
        return GramFolder(self.home / "grams" / key, full_is_error=full_is_error)

    def delete(self, key: str) -> None:
        """Remove a run: first its blocks and its export, whose room the rows may need on a full disk. Raises DiskFull."""
        if is_key(key):
            shutil.rmtree(self.journal(key).folder, ignore_errors=True)
        self._records.delete(key)
        self._documents.delete(f"result-{key}")
        for kept in (self.scores, self.exports, self.measurements, self.guided):
            kept.delete(key)

    def free_bytes(self) -> int:
        """Free bytes of the disk that holds the store."""
        return free_bytes(self.home)

    def require_space(self, bytes_needed: int) -> None:
        """Raises BadInput unless that much is free, and a little more."""
        free, needed = self.free_bytes(), bytes_needed + _RESERVE
        if free < needed:
            raise BadInput("disk", f"{_gigabytes(free)} free", f"at least {_gigabytes(needed)} free below {self.home}",
                           "Delete runs you no longer need, or set PRUNESCOPE_HOME to a folder on a larger disk and start again.")

    def shrink(self) -> None:
        """Give the databases' free pages back to the disk."""
        for rows in (self._records, self._documents):
            rows.shrink()

    def close(self) -> None:
        """Close this thread's connections."""
        self._records.close()
        self._documents.close()

    def _write(self, name: str, model: BaseModel) -> None:
        self._documents.set(name, model.model_dump_json())


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
