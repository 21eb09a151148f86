"""Expected starts of what waits: from the estimated seconds of what is ahead and of what runs now. Pure, but for `summary`.

    start of a job = when the worker that is free first is free, if jobs are taken up in order
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping
from statistics import median

from app.workers.queue import RUN, Job, jobs
from cache import RunRecord, Store
from core.spec.base import FrozenModel

_LOOKED_AT = 200  # finished runs from which the usual seconds are taken
_OVERDUE = 0.1  # of its estimate, left for a run that takes longer than estimated


class Wait(FrozenModel):
    """Place of a job that waits. `seconds`: until it is expected to begin; None where what is ahead cannot be estimated."""

    position: int | None
    seconds: float | None = None
    paused: bool = False  # it, not the queue
    queue_paused: bool = False
    no_worker: bool = False  # nobody is there to take anything up


Usual = Callable[[Job], float | None]


def waits(ordered: Iterable[Job], *, workers: int, now: float, usual: Usual = lambda job: None,
          left: Mapping[str, float] | None = None, queue_paused: bool = False) -> dict[str, Wait]:
    """Expected starts, by the names of the jobs that wait; none without workers. `ordered`: as the queue has them. `left`: seconds that
    running jobs say they still take."""
    free = [0.0] * max(1, workers)
    found: dict[str, Wait] = {}
    place = 0
    for job in ordered:
        if job.paused:
            found[job.name] = Wait(position=None, paused=True, queue_paused=queue_paused)
            continue
        seconds = job.estimated if job.estimated is not None else usual(job)
        if job.state == "running":
            taken = (left or {}).get(job.name, _left(seconds, 0.0 if job.started is None else now - job.started))
            heapq.heapreplace(free, max(free[0], 0.0) + taken)
            continue
        place += 1
        begins = free[0]
        found[job.name] = Wait(position=place, seconds=begins if math.isfinite(begins) and workers and not queue_paused else None,
                               queue_paused=queue_paused, no_worker=not workers)
        heapq.heapreplace(free, begins + (math.inf if seconds is None else seconds))
    return found


def usual_seconds(finished: Iterable[RunRecord], asked: Iterable[RunRecord]) -> Usual:
    """Median seconds of finished runs of the same model and method, else of the same model; None where there are none. `asked`: the
    records of the jobs."""
    taken: dict[tuple[str, str], list[float]] = {}
    for record in finished:
        for method in (record.spec.method.name, "") if record.seconds is not None else ():
            taken.setdefault((record.spec.model, method), []).append(record.seconds or 0.0)
    medians = {kind: median(seconds) for kind, seconds in taken.items()}
    kinds = {record.key: (record.spec.model, record.spec.method.name) for record in asked}

    def usual(job: Job) -> float | None:
        kind = kinds.get(job.key, ("", ""))
        return medians.get(kind, medians.get((kind[0], ""))) if job.kind == RUN else None

    return usual


def look(store: Store, *, workers: int, now: float, left: Callable[[Job], float | None] = lambda job: None) -> dict[str, Wait]:
    """The waits of a store's queue."""
    ordered = jobs(store)
    if not ordered:
        return {}
    usual = usual_seconds(store.runs(limit=_LOOKED_AT, states=("finished",)), store.active())
    known = {job.name: seconds for job in ordered if job.state == "running" and (seconds := left(job)) is not None}
    return waits(ordered, workers=workers, now=now, usual=usual, left=known, queue_paused=store.queue_pause().since is not None)


def summary(store: Store, *, workers: int, now: float, most: int | None = None) -> dict[str, object]:
    """The queue as JSON: what is computed, what waits and until when, in order; the first `most` jobs of it."""
    ordered, found = jobs(store), look(store, workers=workers, now=now)
    entries = [{"key": job.key, "kind": job.kind, "state": "paused" if job.paused else job.state,
                "position": found[job.name].position if job.name in found else None,
                "starts_in_seconds": found[job.name].seconds if job.name in found else None} for job in ordered[:most]]
    return {"paused_since": store.queue_pause().since, "running": sum(job.state == "running" for job in ordered),
            "waiting": sum(job.state == "queued" for job in ordered), "jobs": entries}


def _left(seconds: float | None, gone: float) -> float:
    return math.inf if seconds is None else max(seconds - gone, _OVERDUE * seconds)
