"""Zero-shot scoring on the device worker: task by task, with progress, canceled within a batch, nothing computed twice.

The record in the store is the one truth, as for runs (app/workers/tasks.py): a worker looks at it between batches.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.workers.inputs import require_unchanged
from app.workers.process import open_store
from app.workers.requests import RequestJobs, Watch, carry_out
from cache.keys import run_key, task_key
from cache.scores import Scoring, task_label
from cache.store import Store
from core.data.places import tasks_root
from core.records import Revisions, RunResult, TaskScores
from core.run.revisions import revisions
from core.spec import RunSpec
from core.spec.errors import BadInput

if TYPE_CHECKING:
    from app.workers.connection import Connection
    from core.evaluate.tasks import OpenTask

_MOST_TASKS = 40


class ScoringJobs(RequestJobs[Scoring]):
    """The pages' client: ask for scores of a run, look, cancel."""

    def __init__(self, store: Store, connection: Connection) -> None:
        super().__init__(store.scores.requests, connection)

    def submit(self, spec: RunSpec, names: tuple[str, ...], limit: int | None) -> str:
        """Ask for scores; returns the run's key. Raises BadInput for nothing or too much, and for a model or text that is not there."""
        if not 0 < len(names) <= _MOST_TASKS:
            raise BadInput("tasks", ", ".join(names), f"1 to {_MOST_TASKS} tasks", "Choose some of them.")
        key = run_key(spec, revisions(spec))

        def ask(before: Scoring | None) -> Scoring | None:
            wanted = Scoring(key=key, spec=spec, tasks=names, limit=limit, submitted=time.time())
            same = before is not None and before.active and (before.tasks, before.limit) == (names, limit)
            return None if same else wanted

        self.send(key, ask)
        return key


def score(key: str, attempt: float) -> None:
    """Compute what a scoring asks for. The outcome goes into the store, whatever it is."""
    store = open_store()
    carry_out(store.scores.requests, key, attempt, lambda record, watch: _score(store, record, watch))


def _score(store: Store, record: Scoring, watch: Watch[Scoring]) -> None:
    from app.workers.weights import pruned_weights
    from core.evaluate.tasks import open_tasks
    from core.evaluate.zero_shot import ZeroShot

    spec = record.spec
    found = require_unchanged(spec, record.key)
    watch.tell("Opening the tasks", 0.0)
    folder = tasks_root()
    opened = open_tasks(record.tasks, folder if folder.is_dir() else None, record.limit)
    known = _Known(store=store, spec=spec, revisions=found)
    for task in opened:
        if (dense := known.get(task, None)) and (pruned := known.get(task, record.key)):
            store.scores.add(record.key, _label(task), pruned.model_copy(update={"dense": dense}))
    without_dense = [task for task in opened if known.get(task, None) is None]
    without_pruned = [task for task in opened if known.get(task, record.key) is None]
    if not without_dense and not without_pruned:
        return
    weights: Mapping[str, Any] = {}
    result: RunResult | None = None
    steps = len(without_dense) + len(without_pruned) + 1
    if without_pruned:
        result, weights = pruned_weights(store, spec, record.key, lambda words, share: watch.tell(words, share / steps))
    model = ZeroShot(spec, found.model)
    for done, (task, of) in enumerate([*((task, None) for task in without_dense), *((task, record.key) for task in without_pruned)], 1):
        if of is not None and task is without_pruned[0]:
            model.write(weights, result.shape if result else None)
        words = f"{task.name}: the {'pruned' if of else 'dense'} model"
        scores = model.score(task, lambda share, done=done, words=words: watch.tell(words, (done + share) / steps))
        known.put(task, of, scores)
        dense = known.get(task, None)
        if of is not None and dense is not None:
            store.scores.add(record.key, _label(task), scores.model_copy(update={"dense": dense}))


@dataclass(frozen=True, kw_only=True)
class _Known:
    """Scores that the store has, of a run or of the dense model (None)."""

    store: Store
    spec: RunSpec
    revisions: Revisions

    def get(self, task: OpenTask, run: str | None) -> TaskScores | None:
        return self.store.scores.result(task_key(self.spec, self.revisions, task.content, run))

    def put(self, task: OpenTask, run: str | None, scores: TaskScores) -> None:
        self.store.scores.put(task_key(self.spec, self.revisions, task.content, run), scores)


def _label(task: OpenTask) -> str:
    return task_label(task.name, task.limit)
