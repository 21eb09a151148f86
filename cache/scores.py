"""Zero-shot scores in the store: by content, by run, and the scorings that were asked for. No torch.

    scores-KEY     TaskScores of a model on a task, by `task_key`: never computed twice
    scored-RUN     what a page shows of a run: its tasks' scores with the dense model's beside them
    scoring-RUN    the scoring that was asked for last, and where it is
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from cache.requests import Request, Requests
from cache.rows import CheckedRows
from core.records.tasks import TaskScores
from core.spec.base import FrozenModel


class ScoredRun(FrozenModel):
    """Scores of a run by `task_label`."""

    tasks: dict[str, TaskScores] = Field(default_factory=dict)


class Scoring(Request):
    """A scoring that was asked for."""

    tasks: tuple[str, ...]
    limit: int | None = None


def task_label(name: str, limit: int | None) -> str:
    """A task as a page and a run's scores name it: with its limit, since the number depends on it."""
    return name if limit is None else f"{name} (first {limit})"


class Scores:
    """Scores and scorings in a store's documents. Safe to share between threads and processes."""

    def __init__(self, rows: CheckedRows) -> None:
        self._rows = rows
        self.requests = Requests(rows, "scoring", Scoring)

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
        self._rows.atomically(lambda: self._write(f"scored-{key}", ScoredRun(tasks={**self.of_run(key), label: scores})))

    def runs(self) -> tuple[str, ...]:
        """Keys of the runs that have scores."""
        return tuple(name.removeprefix("scored-") for name in self._rows.all_keys() if name.startswith("scored-"))

    def delete(self, key: str) -> None:
        """Remove what belongs to a run; scores by content stay."""
        self._rows.delete(f"scored-{key}")
        self.requests.delete(key)

    def _write(self, name: str, model: BaseModel) -> None:
        self._rows.set(name, model.model_dump_json())
