"""The keeper of the queue: hands jobs to the device workers of one scheduler, as many at a time as there are workers. No torch.

A scheduler that has all jobs at once gives each of them to a worker beforehand, and blames them all when that worker dies. So Dask only
hears of a job when a worker is free for it; whatever waits is in the store (app/workers/queue.py). Of a worker that dies, the job that it
was computing is begun anew from its journal, three times at most.

The keeper lives in the scheduler's process (`dask_setup`, Dask's --preload), so the queue moves on without a web server; of a scheduler
of your own, which has not loaded this, each web server is a keeper. Two keepers of one scheduler hand the same jobs over by the same
names, which computes them once; of two schedulers with one store, on two hosts, one claims a job (cache/claims.py); of two stores on
one scheduler one has a run computed, and the other takes its result (app/workers/turns.py). Where a worker has another home, a courier
brings and fetches what its job reads and writes (app/workers/away/).
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from app.workers import logs, process, queue
from app.workers.away.carry import call, carry, give_up
from app.workers.away.courier import Courier
from app.workers.away.parcel import Ticket, desk_topic
from app.workers.device_workers import device_workers, needed_resources
from app.workers.homes import seat
from app.workers.identity import store_token
from app.workers.kinds import TASKS
from app.workers.plans import ending_words
from app.workers.queue import Job
from app.workers.turns import Turns
from cache.claims import Claims
from cache.retention import Policy, choose, policy_from_environment, remove
from cache.space import DiskFull

if TYPE_CHECKING:
    from distributed import Client, Future, Scheduler

    from cache import Store

log = logging.getLogger("distributed.prunescope")
_NAMES = tuple(f"{kind}-" for kind in TASKS)
_IDLE, _WAITING, _NO_WORKER = 5.0, 1.0, 0.25  # seconds between two looks: of an empty queue, of one that waits, and until workers come
_CLEAN = 3600.0  # seconds between two cleanings
_REST = 5.0  # seconds before a job is handed over again whose task has ended without a word in the store


class Keeper:
    """Hands jobs over until it is closed or its client has lost the scheduler."""

    def __init__(self, store: Store, client: Client) -> None:
        self._store, self._client = store, client
        self._handed: dict[str, tuple[Job, Future]] = {}
        self._resting: dict[str, float] = {}
        self._couriers: dict[str, Courier] = {}
        self._claims, self._turns = Claims(store.rows, seat(store.home)), Turns(store, client)
        self._token = store_token(store.home)
        self._guard = threading.Lock()
        self._wake, self._closed, self._cleaned = threading.Event(), False, float("-inf")
        client.subscribe_topic(queue.TOPIC, lambda _: self._wake.set())
        client.subscribe_topic(desk_topic(self._token), self._rung)
        threading.Thread(target=self._keep, name="prunescope-keeper", daemon=True).start()

    def close(self) -> None:
        """Hand nothing over any more; what was, goes on."""
        self._closed = True
        self._wake.set()

    def _keep(self) -> None:
        while not self._closed and self._client.status in ("running", "connecting"):
            self._wake.clear()
            try:
                pause = self._step()
            except Exception:  # a store that is damaged or full, a scheduler that is silent: looked at again
                log.exception("the queue could not be looked at")
                pause = _IDLE
            self._wake.wait(pause)

    def _step(self) -> float:
        """Settle what has ended, hand over what there are workers for; returns how long to wait for a word."""
        for name, (job, future) in tuple(self._handed.items()):
            if future.status != "pending":
                self._settle(job, future)
                self._turns.ended(job)
                del self._handed[name]
        self._tidy()
        waiting = [job for job in queue.waiting(self._store) if job.name not in self._handed and self._rested(job)]
        if waiting or self._handed or self._elsewhere():
            with suppress(DiskFull):
                self._claims.beat()
        if not waiting:
            return _IDLE
        workers = device_workers(self._client)
        if not workers:
            return _NO_WORKER
        busy = {*self._handed, *self._elsewhere()}
        free = len(workers) - len(busy)
        for job in [job for job in waiting if job.name not in busy]:
            asked = free > 0 or self._turns.awaits(job, busy)
            if asked and self._turns.take(job) and free > 0 and self._claim(job):
                self._hand(job)
                free -= 1
        return _WAITING

    def _claim(self, job: Job) -> bool:
        """True if no other scheduler has this job. On a full disk nobody can say so; its worker waits for room."""
        try:
            return self._claims.take(job.name)
        except DiskFull:
            return True

    def _rung(self, event: tuple[float, dict[str, str]]) -> None:
        """A desk wants something. Called in the client's loop: a courier looks after it in a thread of its own."""
        threading.Thread(target=self._send_courier, args=(event[1],), name="prunescope-ring", daemon=True).start()

    def _send_courier(self, ring: dict[str, str]) -> None:
        with self._guard:
            courier = self._couriers.get(ring["name"])
            if courier is None or not courier.alive or courier.address != ring["address"]:  # lost with its worker, it may wait for long
                job = next((job for job in queue.jobs(self._store) if job.name == ring["name"]), None)
                if self._closed:
                    return
                if job is None:
                    with suppress(Exception):  # it rings again
                        call(self._client, ring["address"], give_up, ring["name"])
                    return
                self._couriers = {name: known for name, known in self._couriers.items() if known.alive}
                courier = self._couriers[job.name] = Courier(self._store, self._client, job, ring["address"], lambda: self._closed)
        courier.ring()

    def _tidy(self) -> None:
        """Make the reserve again where there is room, and, once an hour, remove what the limits of the environment say."""
        self._store.reserve.fill()
        if time.monotonic() < self._cleaned + _CLEAN:
            return
        self._cleaned = time.monotonic()
        self._claims.drop({job.name for job in queue.jobs(self._store)})
        policy = policy_from_environment()
        if policy != Policy():
            entries = choose(self._store, policy)
            remove(self._store, entries)
            log.info("removed by age and size: %d, %d bytes", len(entries), sum(entry.bytes for entry in entries))

    def _hand(self, job: Job) -> None:
        from distributed import fire_and_forget

        ticket = Ticket(kind=job.kind, key=job.key, submitted=job.submitted, name=job.name, store=self._token)
        future = self._client.submit(carry, ticket.model_dump_json(), key=job.name, resources=needed_resources(), fifo_timeout="0 ms")
        fire_and_forget(future)
        future.add_done_callback(lambda _: self._wake.set())
        self._handed[job.name] = job, future
        log.info("%s %s handed to a worker", job.kind, job.key, extra={"run": job.key})

    def _elsewhere(self) -> set[str]:
        """Names of the jobs that the scheduler's workers have, whoever handed them over."""
        given: Any = self._client.processing()
        return {str(name) for names in given.values() for name in names if str(name).startswith(_NAMES)}

    def _settle(self, job: Job, future: Future) -> None:
        """A job's task has ended. Its outcome is in the store, unless its worker died too often or the scheduler was lost."""
        if not queue.still_wanted(self._store, job):
            return
        if future.status == "error":
            queue.fail(self._store, job, ending_words(future))
        else:
            self._resting[job.name] = time.monotonic() + _REST

    def _rested(self, job: Job) -> bool:
        if time.monotonic() < self._resting.get(job.name, 0.0):
            return False
        self._resting.pop(job.name, None)
        return True


def dask_setup(scheduler: Scheduler) -> None:
    """Called by Dask in the scheduler's process when it listens."""
    logs.configure()
    threading.Thread(target=_start, args=(scheduler.address,), name="prunescope-keeper-start", daemon=True).start()


def _start(address: str) -> None:
    from distributed import Client

    from app.workers.cluster import security

    while True:
        with suppress(Exception):  # said in the log; a home that cannot be opened may be mended
            store = process.open_store()
            client = Client(address, set_as_default=False, name="prunescope-keeper", security=security(store.home, address))
            Keeper(store, client)
            return
        log.warning("the keeper of the queue could not start; tried again")
        time.sleep(_IDLE)
