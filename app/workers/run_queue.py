"""The queue as the pages see it: places and expected starts, order by hand, pauses. No torch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from app.workers import queue, waiting
from app.workers.progress import read_progress
from app.workers.tasks import task_name
from app.workers.waiting import Wait
from cache import RunRecord, Store

if TYPE_CHECKING:
    from app.workers.connection import Connection

_WAIT_SECONDS = 1.0  # for which places are believed: a list asks for each of its rows


class RunQueue:
    """Places of the runs of a store, and what people change about them. Safe to share between threads."""

    def __init__(self, store: Store, connection: Connection) -> None:
        self.store, self._connection = store, connection
        self._waits: tuple[float, dict[str, Wait]] = float("-inf"), {}

    def order(self) -> tuple[RunRecord, ...]:
        """Records of the runs that are queued or running, in the order of the queue."""
        records = {record.key: record for record in self.store.active()}
        return tuple(records[job.key] for job in queue.jobs(self.store) if job.kind == queue.RUN and job.key in records)

    def wait(self, key: str) -> Wait | None:
        """Place and expected start of a run that waits; None for all others. At most a second old."""
        record = self.store.record(key)
        if record is None or record.state != "queued":
            return None
        name = task_name(record)
        found = self.waits()
        if name not in found or found[name].paused != record.paused:
            found = self.waits(anew=True)
        return found.get(name)

    def waits(self, *, anew: bool = False) -> dict[str, Wait]:
        """All that waits, by the names of the tasks. At most a second old; `anew`: of this moment."""
        looked, found = self._waits
        if anew or time.monotonic() > looked + _WAIT_SECONDS:
            workers = 0 if self._connection.no_worker() else self._connection.workers()
            found = waiting.look(self.store, workers=workers, now=time.time(), left=self._left)
            self._waits = time.monotonic(), found
        return found

    def changed(self) -> None:
        """Look anew the next time: something in the queue is not as it was."""
        self._waits = float("-inf"), {}

    def move(self, key: str, where: queue.Move) -> None:
        """Move a waiting run: `up` or `down` by one place, or `first`."""
        queue.move(self.store, key, where)
        self.changed()

    def pause(self, key: str, paused: bool) -> None:
        """Hold a waiting run back, or let it go on; it keeps its turn."""
        self.store.change_record(key, lambda record: record.model_copy(update={"paused": paused})
                                 if record and record.state == "queued" else None)
        self.changed()
        self._connection.tell_queue()

    def pause_queue(self, paused: bool) -> None:
        """Hand nothing more to workers, or go on; what is being computed is finished."""
        self.store.pause_queue(paused)
        self.changed()
        if not paused:
            self._connection.tell_queue()

    def _left(self, job: queue.Job) -> float | None:
        """Seconds that a running run says it still takes."""
        record, client = self.store.record(job.key), self._connection.client()
        latest = read_progress(client, record).latest if client and record and job.kind == queue.RUN else None
        return latest.seconds_left if latest else None
