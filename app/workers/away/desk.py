"""The worker's side of a job of another home: a store for this one job, which its courier fills and empties. torch only in tasks.

    parcel ─► what is missing here is wanted, and received ─► the task, on the desk's store ─► all that it wrote is fetched
"""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from app.workers import process
from app.workers.away.inputs import find, one_at_a_time, settle
from app.workers.away.outbox import Outbox
from app.workers.away.parcel import Input, Look, Parcel, Ticket, Want, desk_topic
from app.workers.kinds import TASKS
from app.workers.queue import RUN, Job, fail, requests_of
from cache import RunRecord, Store
from cache.space import free_bytes
from core.data.received import Received, reading
from core.spec.errors import PruneError

if TYPE_CHECKING:
    from distributed import Worker

_Value = TypeVar("_Value")
_ALIVE = ("init", "running", "paused")  # states of a worker that has its scheduler
_RING = 2.0  # seconds after which a desk that nobody looks at rings
_SILENCE = 900.0  # seconds after which a desk that waits for its courier is left


class Left(Exception):
    """Nobody wants the job any more, or its courier is silent; the blocks that came home stay there."""


class Desk:
    """A job of another home on this worker. Its methods but `work` may be called from other threads."""

    def __init__(self, ticket: Ticket, folder: Path) -> None:
        from distributed import get_worker

        self._ticket, self._folder = ticket, folder
        self._worker: Worker = get_worker()
        self._store = Store(folder / "home")
        self._changed = threading.Condition()
        self._parcel: Parcel | None = None
        self._wants: dict[Want, Path] = {}
        self._stage: str = "parcel"
        self._heard, self._given_up, self._closed = time.monotonic(), False, False
        self._outbox = Outbox(self._store, ticket.key)
        threading.Thread(target=self._bell, name="prunescope-bell", daemon=True).start()

    def work(self) -> None:
        """From the parcel to the last row that is fetched. Raises Left."""
        self._ring()
        ticket, parcel = self._ticket, self._wait(lambda: self._parcel)
        self._fill(parcel)
        try:
            received = self._receive(parcel)
        except PruneError as error:
            self._outbox.start()
            self._refuse(str(error))
        else:
            self._outbox.start()
            self._stage = "computing"
            with process.working_on(self._store), reading(received):
                TASKS[ticket.kind](ticket.key, ticket.submitted)
        self._ring()
        self._wait(lambda: not self._outbox.items() or None)

    def close(self) -> None:
        """End; the folder is removed by whoever made it."""
        self._closed = True
        self._store.close()

    def look(self) -> Look:
        """The state of the desk."""
        self._touch()
        return Look.model_validate({"stage": self._stage, "wants": tuple(self._wants), "items": self._outbox.items(),
                                    "room": free_bytes(self._folder), "host": platform.node() or self._worker.address})

    def give(self, parcel: Parcel) -> None:
        """Answer to a desk that has no parcel yet."""
        self._touch()
        if self._parcel is None:
            self._parcel, self._stage = parcel, "sending"
            self._notify()

    def receive(self, want: Want, offset: int, piece: bytes) -> None:
        """Write a piece of a file that is wanted. The last one settles it."""
        self._touch()
        place = self._wants.get(want)
        there = place.stat().st_size if place and place.exists() else 0
        if place is None or (offset and offset != there):  # of another courier, which has sent it already
            return
        with open(place, "ab" if offset else "wb") as file:
            file.write(piece)
        if offset + len(piece) >= want.file.size:
            del self._wants[want]
            self._notify()

    def read(self, number: int, offset: int, length: int) -> bytes:
        """A piece of what lies ready."""
        self._touch()
        return self._outbox.read(number, offset, length)

    def take(self, numbers: list[int]) -> None:
        """These items have come home."""
        self._touch()
        self._outbox.take(numbers)
        self._notify()

    def give_up(self) -> None:
        """Nobody wants the job any more: its task finds it canceled, and ends within a layer."""
        self._given_up = True
        with suppress(PruneError):
            if self._ticket.kind == RUN:
                self._store.change_record(self._ticket.key, lambda now: now.cancelled() if now and now.active else None)
            else:
                requests_of(self._store)[self._ticket.kind].change(
                    self._ticket.key, lambda now: now.ended("cancelled") if now and now.active else None)
        self._notify()

    def _fill(self, parcel: Parcel) -> None:
        if parcel.record is not None:
            self._store.put_record(RunRecord.model_validate_json(parcel.record))
        for name, text in parcel.rows.items():
            self._store.put_document(name, text)

    def _receive(self, parcel: Parcel) -> Received:
        """Everything that is missing here, the finished blocks too. Raises PruneError for what cannot be used."""
        process.import_core()  # transformers, before folders of models are looked at
        found, missing = find(parcel.inputs)
        if missing or parcel.blocks:
            with one_at_a_time(self._wait):
                self._fetch(parcel, find(parcel.inputs)[1])
                found, _ = find(parcel.inputs)
        return found

    def _fetch(self, parcel: Parcel, missing: Sequence[Input]) -> None:
        arriving = {asked.revision: self._box(asked) for asked in missing}
        journal = self._store.journal(self._ticket.key).folder
        journal.mkdir(parents=True, exist_ok=True)
        wanted = {Want(box="journal", file=file): journal / file.name for file in parcel.blocks}
        wanted |= {Want(box=asked.revision, file=file): arriving[asked.revision] / file.name for asked in missing for file in asked.files}
        for want, place in wanted.items():
            want.file.require_plain()
            place.touch()
        with self._changed:
            self._wants = {want: place for want, place in wanted.items() if want.file.size}
        self._ring()
        self._wait(lambda: not self._wants or None)
        for asked in missing:
            settle(asked, arriving[asked.revision])

    def _box(self, asked: Input) -> Path:
        box = self._folder / "arriving" / asked.kind / asked.revision[:40].replace("/", "_")
        box.mkdir(parents=True, exist_ok=True)
        return box

    def _refuse(self, reason: str) -> None:
        """The job cannot be computed here, for a reason in words."""
        fail(self._store, Job(kind=self._ticket.kind, key=self._ticket.key, submitted=self._ticket.submitted, state="running"), reason)

    def _wait(self, value: Callable[[], _Value | None]) -> _Value:
        """The value, as soon as there is one. Raises Left once nobody wants the job, or its courier was silent for long."""
        while True:
            with self._changed:
                found = value()
                if found is not None:
                    return found
                if self._given_up or time.monotonic() > self._heard + _SILENCE:
                    raise Left
                self._changed.wait(0.5)

    def _touch(self) -> None:
        self._heard = time.monotonic()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _ring(self) -> None:
        self._worker.log_event(desk_topic(self._ticket.store), {"name": self._ticket.name, "address": self._worker.address})

    def _bell(self) -> None:
        """Ring while nobody looks: a courier that comes later hears of the desk. What a worker without its scheduler computes is for
        nobody: it ends, and another goes on."""
        while not self._closed:
            time.sleep(_RING)
            if self._worker.status.name not in _ALIVE:
                return self.give_up()
            if time.monotonic() > self._heard + _RING and not self._closed:
                self._ring()
