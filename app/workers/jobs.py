"""The client of the workers, for the pages: submit, follow, cancel, delete, recover, plan. No torch.

What was asked is in the store, and a keeper (app/workers/keeper.py) hands it to the workers, one job at a time to each: what a dead
scheduler took with it is not lost, since the next one's keeper reads the store again.

`st.cache_resource` refuses a Dask client (it is awaitable); hold a `Jobs`.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from app.workers import queue
from app.workers.answers import Answers
from app.workers.collecting import CollectingJobs
from app.workers.connection import Connection
from app.workers.exporting import ExportJobs
from app.workers.guiding import GuidingJobs
from app.workers.keeper import Keeper
from app.workers.limits import require_place
from app.workers.measuring import MeasuringJobs
from app.workers.plans import Planning, Plans
from app.workers.progress import RunProgress, read_progress
from app.workers.reading import Readings
from app.workers.run_queue import RunQueue
from app.workers.scoring import ScoringJobs
from cache import RunRecord, Store, plan_key, run_key
from cache.records import next_attempt
from core.models.sources import resolve_model
from core.models.tokenizing import check_tokenizer_files, reads_text
from core.records import Revisions
from core.run.revisions import revisions
from core.spec import RunSpec
from core.spec.errors import BadInput

if TYPE_CHECKING:
    from distributed import Client


class Jobs:
    """Runs and plans, by spec. Safe to share between threads; makes its connection in the background, when first needed."""

    def __init__(self, store: Store, *, answering: bool = True) -> None:
        """Without `answering` it starts no interactive worker on a scheduler of one's own: what only computes runs needs none."""
        self.store = store
        self._connection = Connection(store.home, self._connected, self.recover, answering=answering)
        self.answers = Answers(self._connection)
        self.scoring = ScoringJobs(store, self._connection)
        self.exporting = ExportJobs(store, self._connection)
        self.measuring = MeasuringJobs(store, self._connection)
        self.collecting = CollectingJobs(store, self._connection)
        self.guiding = GuidingJobs(store, self._connection)
        self.readings = Readings(self._connection)
        self._keeper: Keeper | None = None
        self.queue = RunQueue(store, self._connection)
        self._plans = Plans(store, self._connection)

    def key(self, spec: RunSpec) -> str:
        """The key of a run of this spec, now. Raises BadInput if its model or texts cannot be found."""
        return run_key(spec, _usable(spec))

    def submit(self, spec: RunSpec, *, group: str = "") -> str:
        """Ask for a run; returns its key. What is finished, queued or running is not computed again; what failed or was canceled
        is, from its last finished block on. The queue takes turns between groups (a session,
        a sweep). Raises BadInput if something the spec names is missing, the disk or the queue is full, or no worker has the memory."""
        found = _usable(spec)
        key = run_key(spec, found)
        result = self.store.result(key)
        known = self.store.record(key)
        plan = None
        if result is None:
            if known is None or not known.active:
                require_place(self.store, group)
            plan = self.store.plan(plan_key(spec, found))
            self.store.require_space(plan.disk_bytes if plan else 0)
            if plan is not None:
                self._plans.require_memory(plan, spec)

        def ask(record: RunRecord | None) -> RunRecord | None:
            if result is not None:
                return (record or RunRecord(key=key, spec=spec, state="finished", submitted=time.time())).finished(result)
            if record is not None and record.active:
                return None
            kept = {"pinned": record.pinned, "name": record.name, "note": record.note} if record else {}
            return RunRecord(key=key, spec=spec, state="queued", submitted=next_attempt(record), group=group,
                             estimated=plan.seconds if plan else None, **kept)

        record = self.store.change_record(key, ask)
        if record is not None and record.active:
            self.queue.changed()
            self._connection.tell_queue()
        return key

    def problem(self) -> str | None:
        """Reason why nothing that waits is taken up; None where it is, or may be."""
        return self._connection.error or (self._connection.no_worker() if self._connection.client() is not None else None)

    def cancel(self, key: str) -> None:
        """Stop a run: one that waits at once, one that is computed within a layer. Its finished blocks stay for the next time."""
        self.store.change_record(key, lambda record: record.cancelled() if record and record.active else None)
        self.queue.changed()

    def delete(self, key: str) -> None:
        """Remove a run and all that is kept of it; one that is being computed stops within a layer."""
        self.store.delete(key)
        self.queue.changed()

    def pin(self, key: str, pinned: bool) -> None:
        """Keep a run at the top of lists, or let it go."""
        self.store.change_record(key, lambda record: record.model_copy(update={"pinned": pinned}) if record else None)

    def name(self, key: str, name: str, note: str) -> None:
        """Keep a person's words about a run: a name and a note, both may be empty."""
        self.store.change_record(key, lambda record: record.named(name, note) if record else None)

    def progress(self, key: str) -> RunProgress:
        """Progress of a run. Cheap enough for each second."""
        record = self.store.record(key)
        client = self._connection.client() if record is not None else None
        if record is None or client is None:
            return RunProgress(problem=self._connection.error)
        if record.state == "queued" and (problem := self._connection.no_worker()):
            return RunProgress(problem=problem)
        return read_progress(client, record)

    def plan(self, spec: RunSpec) -> Planning:
        """The plan of a run of this spec: from the store, or being made on the interactive worker."""
        return self._plans.plan(spec)

    def position(self, key: str) -> int | None:
        """The place of a waiting run in the queue, 1 for the next; None for all others."""
        waiting = (job for job in queue.jobs(self.store) if job.state == "queued" and not job.paused)
        return next((place for place, job in enumerate(waiting, 1) if (job.kind, job.key) == ("run", key)), None)

    def recover(self) -> None:
        """Have what is queued or running go on, in the background; call it once at the start."""
        if queue.jobs(self.store):
            self._connection.tell_queue()

    def warm(self) -> None:
        """Start the workers, which import torch before anybody waits for it, in the background."""
        self._connection.client(mend=True)

    def close(self) -> None:
        """Let go of the connection; what was asked goes on."""
        if self._keeper is not None:
            self._keeper.close()
        self._plans.close()
        self.answers.close()
        self._connection.close()

    def _connected(self, client: Client) -> None:
        """Be the keeper of a scheduler of one's own, which has none; ask another's to look."""
        if os.environ.get("PRUNESCOPE_SCHEDULER"):
            if self._keeper is not None:
                self._keeper.close()
            self._keeper = Keeper(self.store, client)
        client.log_event(queue.TOPIC, "connected")


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
