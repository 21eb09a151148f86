"""The client of the workers, for the pages: submit, follow, cancel, delete, recover, plan. No torch.

What was asked is in the store; the scheduler only knows whom to give it to. So whenever a connection is made, everything that is
queued or running according to the store is handed to the scheduler again, under the name of its task: what the scheduler
already knows is not computed twice, what a dead scheduler took with it is not lost.

`st.cache_resource` refuses a Dask client (it is awaitable); hold a `Jobs`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from app.workers import tasks
from app.workers.answers import Answers
from app.workers.connection import Connection
from app.workers.exporting import ExportJobs
from app.workers.plans import Planning, Plans, ending_words
from app.workers.progress import RunProgress, read_progress
from app.workers.scoring import ScoringJobs
from cache import RunRecord, Store, plan_key, run_key
from cache.records import ACTIVE
from core.models.sources import resolve_model
from core.models.tokenizing import check_tokenizer_files, reads_text
from core.records import Revisions
from core.run.revisions import revisions
from core.spec import RunSpec
from core.spec.errors import BadInput

if TYPE_CHECKING:
    from distributed import Client, Future

_ALL = 1_000_000


class Jobs:
    """Runs and plans, by spec. Safe to share between threads; makes its connection in the background, when first needed."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._connection = Connection(store.home, self._hand_over)
        self.answers = Answers(self._connection)
        self.scoring = ScoringJobs(store, self._connection)
        self.exporting = ExportJobs(store, self._connection)
        self._requests = (self.scoring, self.exporting)
        self._guard = threading.Lock()
        self._runs: dict[str, Future] = {}
        self._plans = Plans(store, self._connection)

    def key(self, spec: RunSpec) -> str:
        """The key of a run of this spec, now. Raises BadInput if its model or texts cannot be found."""
        return run_key(spec, _usable(spec))

    def submit(self, spec: RunSpec) -> str:
        """Ask for a run; returns its key. What is finished, queued or running is not computed again; what failed or was cancelled
        is, from its last finished block on. Raises BadInput if something the spec names is missing or the disk is full."""
        found = _usable(spec)
        key = run_key(spec, found)
        result = self.store.result(key)
        if result is None:
            plan = self.store.plan(plan_key(spec, found))
            self.store.require_space(plan.disk_bytes if plan else 0)

        def ask(record: RunRecord | None) -> RunRecord | None:
            if result is not None:
                return (record or RunRecord(key=key, spec=spec, state="finished", submitted=time.time())).finished(result)
            if record is not None and record.active:
                return None
            pinned = record is not None and record.pinned
            return RunRecord(key=key, spec=spec, state="queued", submitted=time.time(), pinned=pinned)

        record = self.store.change_record(key, ask)
        if record is not None and record.active:
            client = self._connection.client(mend=True)
            if client is not None:  # else it is handed over as soon as there is a connection
                self._send(client, record)
        return key

    def cancel(self, key: str) -> None:
        """Stop a run: one that waits at once, one that is computed within a layer. Its finished blocks stay for the next time."""
        self.store.change_record(key, lambda record: record.cancelled() if record and record.active else None)

    def delete(self, key: str) -> None:
        """Remove a run and all that is kept of it; one that is being computed stops within a layer."""
        self.store.delete(key)

    def pin(self, key: str, pinned: bool) -> None:
        """Keep a run at the top of lists, or let it go."""
        self.store.change_record(key, lambda record: record.model_copy(update={"pinned": pinned}) if record else None)

    def progress(self, key: str) -> RunProgress:
        """Progress of a run. Cheap enough for each second."""
        record = self.store.record(key)
        client = self._connection.client() if record is not None else None
        if record is None or client is None:
            return RunProgress(problem=self._connection.error)
        return read_progress(client, record)

    def plan(self, spec: RunSpec) -> Planning:
        """The plan of a run of this spec: from the store, or being made on the interactive worker."""
        return self._plans.plan(spec)

    def position(self, key: str) -> int | None:
        """The place of a waiting run in the queue, 1 for the next; None for all others."""
        waiting = sorted(self.store.runs(limit=_ALL, states=("queued",)), key=lambda record: record.submitted)
        return next((place for place, record in enumerate(waiting, 1) if record.key == key), None)

    def recover(self) -> None:
        """Hand what is queued or running to the scheduler again, in the background; call it once at the start."""
        if self.store.count(ACTIVE) or any(kind.requests.active() for kind in self._requests):
            client = self._connection.client(mend=True)
            if client is not None:
                self._hand_over(client)

    def warm(self) -> None:
        """Start the workers, which import torch before anybody waits for it, in the background."""
        self._connection.client(mend=True)

    def close(self) -> None:
        """Let go of the connection; what was asked goes on."""
        with self._guard:
            self._runs.clear()
        self._plans.close()
        self.answers.close()
        self._connection.close()

    def _hand_over(self, client: Client) -> None:
        active = self.store.runs(limit=_ALL, states=ACTIVE)
        for record in sorted(active, key=lambda record: (record.state != "running", record.submitted)):
            self._send(client, record)
        for kind in self._requests:
            kind.hand_over(client)

    def _send(self, client: Client, record: RunRecord) -> None:
        from distributed import fire_and_forget

        name = tasks.task_name(record)
        with self._guard:
            known = self._runs.get(name)
            if known is not None and known.client is client and known.status == "pending":
                return
            future = client.submit(tasks.run, record.key, record.submitted, key=name, resources={"device": 1}, fifo_timeout="0 ms")
            self._runs[name] = future
        fire_and_forget(future)
        future.add_done_callback(lambda future: self._over(name, record, future))

    def _over(self, name: str, record: RunRecord, future: Future) -> None:
        """A run's task has ended. Its outcome is in the store unless its worker died too often, or the scheduler was lost."""
        with self._guard:
            if self._runs.get(name) is not future:
                return
            del self._runs[name]
        now = self.store.record(record.key)
        if now is None or not _same(now, record):
            return
        if future.status == "error":
            reason = ending_words(future)
            self.store.change_record(record.key, lambda now: now.failed(reason) if now and _same(now, record) else None)
        else:
            self._connection.client(mend=True)


def _same(now: RunRecord, record: RunRecord) -> bool:
    return now.active and now.submitted == record.submitted


def _usable(spec: RunSpec) -> Revisions:
    """The revisions of a spec. Raises BadInput also for a model at hand that has no tokenizer to read the texts with."""
    found = revisions(spec)
    if reads_text(spec):
        try:
            source = resolve_model(spec.model, spec.revision)
        except BadInput:  # on the hub: its files come with the run
            return found
        check_tokenizer_files(source)
    return found
