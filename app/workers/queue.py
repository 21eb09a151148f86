"""The queue: what is asked for and not ended, in the order in which device workers take it up. Read from the store each time; no torch.

The store is the one truth: nothing is kept here that a killed process could take with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cache.records import RunState
from cache.requests import Requests
from cache.store import Store
from core.spec import RunSpec

TOPIC = "prunescope-queue"  # of the scheduler's events: somebody has asked for something
RUN = "run"
Move = Literal["first", "up", "down"]
_FIELDS = ("key", "submitted", "state", "group", "turn", "paused", "started", "estimated")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run, or a request about one. `submitted` tells one attempt from the next."""

    kind: str
    key: str
    submitted: float
    state: RunState
    group: str = ""
    turn: tuple[str, float] | None = None
    paused: bool = False
    started: float | None = None
    estimated: float | None = None

    @property
    def slot(self) -> tuple[str, float]:
        """Group and moment by which it is ordered. Two jobs that exchange their slots exchange their places, and no other moves."""
        return self.turn or (self.group, self.submitted)

    @property
    def name(self) -> str:
        """The name of its task: the same for the same attempt, so that handing it over twice computes it once."""
        return task_name(self.kind, self.key, self.submitted)


def task_name(kind: str, key: str, submitted: float) -> str:
    """The name of the task of an attempt."""
    return f"{kind}-{key}-{round(submitted * 1000)}"


def requests_of(store: Store) -> Mapping[str, Requests[Any]]:
    """The requests about runs and models that device workers carry out, by kind."""
    return {"score": store.scores.requests, "export": store.exports.requests, "measure": store.measurements.requests,
            "collect": store.collecting, "guide": store.guided.requests}


def jobs(store: Store) -> tuple[Job, ...]:
    """All that is queued or running: what a worker has begun first, then in order, in turns between groups; paused runs at the end."""
    found = [Job(kind=RUN, **{name: getattr(record, name) for name in _FIELDS}) for record in store.active()]
    found += [Job(kind=kind, key=request.key, submitted=request.submitted, state=request.state, group=f"of-{kind}",
                  started=request.heard) for kind, requests in requests_of(store).items() for request in requests.active()]
    paused = [job for job in found if job.paused]
    return (*in_turns(job for job in found if not job.paused), *sorted(paused, key=lambda job: job.slot[::-1]))


def waiting(store: Store) -> tuple[Job, ...]:
    """Jobs that may be handed to a worker, in order: none while the queue is paused, and no request about a run that comes first."""
    if store.queue_pause().since is not None:
        return ()
    found = [job for job in jobs(store) if not job.paused]
    runs = {job.key for job in found if job.kind == RUN}
    return tuple(job for job in found if job.kind == RUN or job.key not in runs or job.state == "running")


def move(store: Store, key: str, where: Move) -> None:
    """Move a waiting run among the waiting runs: before the next one, behind it, or before all. The others keep their order. A run
    that does not wait stays as it is."""

    def work() -> None:
        runs = [job for job in jobs(store) if (job.kind, job.state, job.paused) == (RUN, "queued", False)]
        place = next((place for place, job in enumerate(runs) if job.key == key), None)
        if place is None:
            return
        first, last = {"first": (0, place), "up": (max(0, place - 1), place), "down": (place, min(len(runs) - 1, place + 1))}[where]
        span = runs[first:last + 1]
        moved = [*span[1:], span[0]] if where == "down" else [span[-1], *span[:-1]]
        for job, slot in zip(moved, [job.slot for job in span], strict=True):
            store.update_record(job.key, turn=slot)

    store.together(work)


def in_turns(found: Iterable[Job]) -> tuple[Job, ...]:
    """Running jobs, then waiting ones: the first of each group, the second of each, and so on, the oldest first; a running job counts
    as a turn of its group. So a single run waits for one run of a sweep, not for all of them."""
    oldest = sorted(found, key=lambda job: (job.state != "running", job.slot[1], job.name))
    turns: Counter[str] = Counter()
    placed: list[tuple[bool, int, float, Job]] = []
    for job in oldest:
        group, moment = job.slot
        placed.append((job.state != "running", turns[group], moment, job))
        turns[group] += 1
    return tuple(job for *_, job in sorted(placed, key=lambda place: (*place[:3], place[3].name)))


def spec_of(store: Store, job: Job) -> RunSpec | None:
    """The spec of a job's run; None once it was deleted."""
    now = store.record(job.key) if job.kind == RUN else requests_of(store)[job.kind].read(job.key)
    return None if now is None else now.spec


def still_wanted(store: Store, job: Job) -> bool:
    """True if this attempt is still queued or running according to the store."""
    now = store.record(job.key) if job.kind == RUN else requests_of(store)[job.kind].read(job.key)
    return now is not None and now.active and now.submitted == job.submitted


def fail(store: Store, job: Job, reason: str) -> None:
    """Say why a job cannot go on, unless it was canceled or asked for again meanwhile."""
    if job.kind == RUN:
        store.change_record(job.key, lambda now: now.failed(reason) if now and now.active and now.submitted == job.submitted else None)
    else:
        requests_of(store)[job.kind].change(
            job.key, lambda now: now.ended("failed", reason) if now and now.is_attempt(job.submitted) else None)
