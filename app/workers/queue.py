"""The queue: what is asked for and not ended, in the order in which device workers take it up. Read from the store each time; no torch.

The store is the one truth: nothing is kept here that a killed process could take with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cache.records import RunState
from cache.requests import Requests
from cache.store import Store

TOPIC = "prunescope-queue"  # of the scheduler's events: somebody has asked for something
RUN = "run"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run, or a request about one. `submitted` tells one attempt from the next."""

    kind: str
    key: str
    submitted: float
    state: RunState
    group: str = ""

    @property
    def name(self) -> str:
        """The name of its task: the same for the same attempt, so that handing it over twice computes it once."""
        return task_name(self.kind, self.key, self.submitted)


def task_name(kind: str, key: str, submitted: float) -> str:
    """The name of the task of an attempt."""
    return f"{kind}-{key}-{round(submitted * 1000)}"


def requests_of(store: Store) -> Mapping[str, Requests[Any]]:
    """The requests about runs that device workers carry out, by kind."""
    return {"score": store.scores.requests, "export": store.exports.requests, "measure": store.measurements.requests}


def jobs(store: Store) -> tuple[Job, ...]:
    """All that is queued or running: what a worker has begun first, then in order, in turns between groups."""
    found = [(RUN, record) for record in store.active()]
    found += [(kind, request) for kind, requests in requests_of(store).items() for request in requests.active()]
    return in_turns(Job(kind=kind, key=item.key, submitted=item.submitted, state=item.state,
                        group=item.group if kind == RUN else f"of-{kind}") for kind, item in found)


def in_turns(found: Iterable[Job]) -> tuple[Job, ...]:
    """Running jobs, then waiting ones: the first of each group, the second of each, and so on, the oldest first; a running job counts
    as a turn of its group. So a single run waits for one run of a sweep, not for all of them."""
    oldest = sorted(found, key=lambda job: (job.state != "running", job.submitted, job.name))
    turns: Counter[str] = Counter()
    placed: list[tuple[bool, int, float, Job]] = []
    for job in oldest:
        placed.append((job.state != "running", turns[job.group], job.submitted, job))
        turns[job.group] += 1
    return tuple(job for *_, job in sorted(placed, key=lambda place: (*place[:3], place[3].name)))


def still_wanted(store: Store, job: Job) -> bool:
    """True if this attempt is still queued or running according to the store."""
    now = store.record(job.key) if job.kind == RUN else requests_of(store)[job.kind].read(job.key)
    return now is not None and now.active and now.submitted == job.submitted


def fail(store: Store, job: Job, reason: str) -> None:
    """Say why a job cannot go on, unless it was cancelled or asked for again meanwhile."""
    if job.kind == RUN:
        store.change_record(job.key, lambda now: now.failed(reason) if now and now.active and now.submitted == job.submitted else None)
    else:
        requests_of(store)[job.kind].change(
            job.key, lambda now: now.ended("failed", reason) if now and now.is_attempt(job.submitted) else None)
