"""Zero-shot scores in the store: by content, by run, and the scorings that were asked for. No torch.

    scores-KEY     TaskScores of a model on a task, by `task_key`: never computed twice
    scored-RUN     what a page shows of a run: its tasks' scores with the dense model's beside them
    scoring-RUN    the scoring that was asked for last, and where it is
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pydantic import BaseModel, Field

from cache.records import ACTIVE, RunState
from cache.rows import CheckedRows
from core.records.tasks import TaskScores
from core.spec import RunSpec
from core.spec.base import FrozenModel

_SCORING = "scoring-"


class ScoredRun(FrozenModel):
    """Scores of a run by `task_label`."""

    tasks: dict[str, TaskScores] = Field(default_factory=dict)


class Scoring(FrozenModel):
    """A scoring that was asked for. `key` is its run's; times are seconds since 1970, and `submitted` tells one attempt from the next."""

    key: str
    spec: RunSpec
    tasks: tuple[str, ...]
    limit: int | None = None
    state: RunState = "queued"
    submitted: float
    doing: str = ""
    share: float = 0.0  # of all that is to be done
    heard: float | None = None
    error: str | None = None

    @property
    def active(self) -> bool:
        """True while it is to be computed, or being computed."""
        return self.state in ACTIVE

    def ended(self, state: RunState, error: str | None = None) -> Scoring:
        """It is over."""
        return self.model_copy(update={"state": state, "error": error, "doing": "", "heard": time.time()})


def task_label(name: str, limit: int | None) -> str:
    """A task as a page and a run's scores name it: with its limit, since the number depends on it."""
    return name if limit is None else f"{name} (first {limit})"


class Scores:
    """Scores and scorings in a store's documents. Safe to share between threads and processes."""

    def __init__(self, rows: CheckedRows) -> None:
        self._rows = rows

    def result(self, key: str) -> TaskScores | None:
        """Scores by `task_key`."""
        return self._rows.read(f"scores-{key}", TaskScores)

    def put(self, key: str, scores: TaskScores) -> None:
        self._write(f"scores-{key}", scores)

    def of_run(self, key: str) -> dict[str, TaskScores]:
        """Scores of a run by `task_label`."""
        return (self._rows.read(f"scored-{key}", ScoredRun) or ScoredRun()).tasks

    def add(self, key: str, label: str, scores: TaskScores) -> None:
        """Add a task to the scores of a run."""
        with self._rows.transact():
            self._write(f"scored-{key}", ScoredRun(tasks={**self.of_run(key), label: scores}))

    def scoring(self, key: str) -> Scoring | None:
        """The scoring that was asked for last of a run."""
        return self._rows.read(f"{_SCORING}{key}", Scoring)

    def change(self, key: str, change: Callable[[Scoring | None], Scoring | None]) -> Scoring | None:
        """Read, change and write in one transaction. `change` may return None to leave things be. Returns what is there then."""
        with self._rows.transact():
            before = self.scoring(key)
            after = change(before)
            if after is not None and after != before:
                self._write(f"{_SCORING}{key}", after)
            return after or before

    def active(self) -> tuple[Scoring, ...]:
        """Scorings that wait or are computed, the oldest first."""
        names = [name for name in self._rows.all_keys() if name.startswith(_SCORING)]
        found = [scoring for name in names if (scoring := self.scoring(name.removeprefix(_SCORING))) is not None]
        return tuple(sorted((scoring for scoring in found if scoring.active), key=lambda scoring: scoring.submitted))

    def runs(self) -> tuple[str, ...]:
        """Keys of the runs that have scores."""
        return tuple(name.removeprefix("scored-") for name in self._rows.all_keys() if name.startswith("scored-"))

    def delete(self, key: str) -> None:
        """Remove what belongs to a run; scores by content stay."""
        for name in (f"scored-{key}", f"{_SCORING}{key}"):
            self._rows.delete(name)

    def _write(self, name: str, model: BaseModel) -> None:
        self._rows.set(name, model.model_dump_json())
