"""Plans of runs: which layers would be pruned, in what time and memory; made on the interactive worker, kept in the store. No torch."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Literal, cast

from app.workers import process, tasks
from cache import Store, plan_key
from core.records import Plan
from core.run import memory
from core.run.revisions import revisions
from core.spec import RunSpec
from core.spec.base import FrozenModel
from core.spec.errors import PruneError

if TYPE_CHECKING:
    from distributed import Client, Future

    from app.workers.connection import Connection

_KEEP_SECONDS = 30.0  # how long a failed plan is believed
_MOST = 64  # as many plans are asked for at once; those that fell behind are given up


class Planning(FrozenModel):
    """A plan, or that it is being made, or why there is none."""

    state: Literal["computing", "ready", "failed"]
    plan: Plan | None = None
    error: str | None = None
    refused: bool = False  # the model or a text cannot be used so: a run would fail for the same reason


class Plans:
    """Plans by spec. Safe to share between threads."""

    def __init__(self, store: Store, connection: Connection) -> None:
        self._store, self._connection = store, connection
        self._guard = threading.Lock()
        self._asked: dict[str, tuple[Future, float]] = {}

    def plan(self, spec: RunSpec) -> Planning:
        """Plan of a run of this spec: from the store, or being made on the interactive worker."""
        try:
            key = plan_key(spec, revisions(spec))
        except PruneError as error:
            return Planning(state="failed", error=str(error), refused=True)
        plan = self._store.plan(key)
        if plan is not None:
            self._asked.pop(key, None)
            return self._ready(plan, spec)
        client = self._connection.client()
        if client is None:
            error = self._connection.error
            return Planning(state="failed", error=error) if error else Planning(state="computing")
        return self._made(client, key, spec)

    def close(self) -> None:
        """Give up what is being asked."""
        with self._guard:
            self._asked.clear()

    def _made(self, client: Client, key: str, spec: RunSpec) -> Planning:
        with self._guard:
            future, asked = self._asked.get(key, (None, 0.0))
            if future is None or future.client is not client or future.status in ("cancelled", "lost"):
                future, asked = client.submit(
                    tasks.plan, spec.model_dump_json(), key=f"plan-{key}-{time.time_ns()}", fifo_timeout="0 ms",
                    resources={self._connection.resource("quick"): 1},
                    priority=round(time.time())), time.monotonic()  # the newest first: sliders move on
                self._asked[key] = future, asked
                while len(self._asked) > _MOST:
                    del self._asked[next(iter(self._asked))]
        if future.status not in ("finished", "error"):
            return Planning(state="computing")
        plan = self._store.plan(key)
        if plan is not None:
            return self._ready(plan, spec)
        if asked + _KEEP_SECONDS < time.monotonic():
            self._asked.pop(key, None)
        return Planning(state="failed", error=ending_words(future), refused=future.status == "finished")

    def _ready(self, plan: Plan, spec: RunSpec) -> Planning:
        """A plan that no worker has the memory for is refused before it can be asked for."""
        try:
            self.require_memory(plan, spec)
        except PruneError as error:
            return Planning(state="failed", error=str(error), refused=True)
        return Planning(state="ready", plan=plan)

    def require_memory(self, plan: Plan, spec: RunSpec) -> None:
        """Raises BadInput where the largest worker's memory is known and the plan exceeds it. GPUs are looked at by their workers."""
        limit = self._connection.run_memory()
        if limit is not None and plan.device.startswith("CPU"):
            memory.require_memory(plan, spec, limit)


def ending_words(future: Future) -> str:
    """Reason why a task that has ended left nothing in the store."""
    try:
        if future.status == "finished":
            return str(future.result(timeout=2) or "The model or a text has just changed. Try again in a moment.")
        error = cast("BaseException", future.exception(timeout=2))
    except (OSError, CancelledError):
        return "The scheduler was lost before it could give the reason. Try again in a moment."
    if type(error).__name__ == "KilledWorker":
        return ("The worker died several times over this, most likely because memory ran out. Lower the calibration windows or their "
                "length, or choose a smaller model; finished blocks are kept. The worker's log has more.")
    return process.failure_words(error)
