"""Zero-shot scoring on the device worker: task by task, with progress, cancelled within a batch, nothing computed twice.

The record in the store is the one truth, as for runs (app/workers/tasks.py): a worker looks at it between batches.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.workers.process import failure_words, log, open_store, use_all_cores
from app.workers.tasks import free_memory
from cache.keys import run_key, task_key
from cache.scores import Scoring, task_label
from cache.store import Store
from core.data.places import tasks_root
from core.records import Revisions, TaskScores
from core.run.revisions import revisions
from core.spec import RunSpec
from core.spec.errors import BadInput, Cancelled, PruneError

if TYPE_CHECKING:
    from distributed import Client, Future

    from app.workers.connection import Connection
    from core.evaluate.tasks import OpenTask

_TELL_SECONDS = 0.4  # at most one look at the record, and one change of it, in this time
_MOST_TASKS = 40


class ScoringJobs:
    """The pages' client: ask for scores of a run, look, cancel. What was asked survives scheduler and server."""

    def __init__(self, store: Store, connection: Connection) -> None:
        self.store, self._connection = store, connection
        self._guard = threading.Lock()
        self._sent: dict[str, Future] = {}

    @property
    def problem(self) -> str | None:
        """Reason why nobody can be asked to compute."""
        return self._connection.error

    def submit(self, spec: RunSpec, names: tuple[str, ...], limit: int | None) -> str:
        """Ask for scores; returns the run's key. Raises BadInput for nothing or too much, and for a model or text that is not there."""
        if not 0 < len(names) <= _MOST_TASKS:
            raise BadInput("tasks", ", ".join(names), f"1 to {_MOST_TASKS} tasks", "Choose some of them.")
        key = run_key(spec, revisions(spec))

        def ask(before: Scoring | None) -> Scoring | None:
            wanted = Scoring(key=key, spec=spec, tasks=names, limit=limit, submitted=time.time())
            same = before is not None and before.active and (before.tasks, before.limit) == (names, limit)
            return None if same else wanted

        record = self.store.scores.change(key, ask)
        client = self._connection.client(mend=True)
        if record is not None and record.active and client is not None:
            self._send(client, record)
        return key

    def cancel(self, key: str) -> None:
        """Stop a scoring within a batch; finished tasks stay."""
        self.store.scores.change(key, lambda record: record.ended("cancelled") if record and record.active else None)

    def hand_over(self, client: Client) -> None:
        """Give all that waits to a new scheduler."""
        for record in self.store.scores.active():
            self._send(client, record)

    def _send(self, client: Client, record: Scoring) -> None:
        from distributed import fire_and_forget

        name = f"score-{record.key}-{round(record.submitted * 1000)}"
        with self._guard:
            known = self._sent.get(name)
            if known is not None and known.client is client and known.status == "pending":
                return
            future = client.submit(score, record.key, record.submitted, key=name, resources={"device": 1}, fifo_timeout="0 ms")
            self._sent[name] = future
        fire_and_forget(future)
        future.add_done_callback(lambda future: self._over(name, record, future))

    def _over(self, name: str, record: Scoring, future: Future) -> None:
        """The outcome is in the store unless the worker died too often."""
        with self._guard:
            if self._sent.pop(name, None) is not future or future.status != "error":
                return
        reason = "The worker died several times over this, most likely because memory ran out. Its log has more."
        self.store.scores.change(record.key, lambda now: now.ended("failed", reason) if _wanted(now, record.submitted) and now else None)


def score(key: str, attempt: float) -> None:
    """Compute what a scoring asks for. The outcome goes into the store, whatever it is."""
    store = open_store()
    record = store.scores.change(key, lambda record: record.model_copy(update={"state": "running", "heard": time.time()})
                                 if record and _wanted(record, attempt) else None)
    if record is None or not _wanted(record, attempt):
        return
    try:
        use_all_cores()
        from core.linalg.cancellation import cancel_unless

        watch = _Watch(store=store, key=key, attempt=attempt)
        with cancel_unless(watch.wanted):
            _score(store, record, watch)
        store.scores.change(key, lambda record: record.ended("finished") if record and _wanted(record, attempt) else None)
    except Cancelled:
        pass  # the record says so already
    except Exception as error:
        log.exception("scoring %s failed", key)
        reason = failure_words(error)
        store.scores.change(key, lambda record: record.ended("failed", reason) if record and _wanted(record, attempt) else None)
    finally:
        free_memory()


def _score(store: Store, record: Scoring, watch: _Watch) -> None:
    from app.workers.weights import pruned_weights
    from core.evaluate.tasks import open_tasks
    from core.evaluate.zero_shot import ZeroShot

    spec, found = record.spec, revisions(record.spec)
    if run_key(spec, found) != record.key:
        raise PruneError("The model or a text has changed since these scores were asked for. Ask again.")
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
    weights: dict[str, Any] = {}
    steps = len(without_dense) + len(without_pruned) + 1
    if without_pruned:
        _, weights = pruned_weights(store, spec, record.key, lambda words, share: watch.tell(words, share / steps))
    model = ZeroShot(spec)
    for done, (task, of) in enumerate([*((task, None) for task in without_dense), *((task, record.key) for task in without_pruned)], 1):
        if of is not None and task is without_pruned[0]:
            model.write(weights)
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


@dataclass(kw_only=True)
class _Watch:
    """Looks at the record now and then: whether it is still wanted, and says there what is being done."""

    store: Store
    key: str
    attempt: float
    looked: float = field(default=float("-inf"))
    told: tuple[str, float] = ("", float("-inf"))
    still: bool = True

    def wanted(self) -> bool:
        if self.still and time.monotonic() > self.looked + _TELL_SECONDS:
            self.looked = time.monotonic()
            self.still = _wanted(self.store.scores.scoring(self.key), self.attempt)
        return self.still

    def tell(self, words: str, share: float) -> None:
        if words == self.told[0] and time.monotonic() < self.told[1] + _TELL_SECONDS:
            return
        self.told = words, time.monotonic()
        self.store.scores.change(self.key, lambda record: record.model_copy(update={"doing": words, "share": share, "heard": time.time()})
                                 if record and _wanted(record, self.attempt) else None)


def _label(task: OpenTask) -> str:
    return task_label(task.name, task.limit)


def _wanted(record: Scoring | None, attempt: float) -> bool:
    return record is not None and record.active and record.submitted == attempt
