"""Runs that several stores ask of one scheduler: one keeper hands the run over, the others wait and take its result. No torch.

    claim(run, name)      on the scheduler, whose loop does one thing at a time: the name of the task that computes a run, or its result
    ended(run, name)      its keeper says so; True where another one waits for the result, which is offered then
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from app.workers.queue import RUN, Job
from cache import run_key
from core.records import RunResult

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from distributed import Client

    from cache import RunRecord, Store

_GRACE = 10.0  # seconds for which a run is left to who has claimed it, before its task is there and after it is gone
_KEPT = 60.0  # seconds for which a result lies ready
_ANSWER = 5.0  # seconds within which the scheduler answers


class Turns:
    """Turns of one store at the runs of its scheduler. On a scheduler without this code, and on a home's own, each store has its own."""

    def __init__(self, store: Store, client: Client) -> None:
        self._store, self._client = store, client
        self._shared = bool(os.environ.get("PRUNESCOPE_SCHEDULER"))
        self._awaited: set[str] = set()

    def awaits(self, job: Job, tasks: Collection[str]) -> bool:
        """True if the run of a job is among these tasks of the scheduler, or was: then its turn is asked for though no worker is free."""
        if job.kind != RUN or not self._shared:
            return False
        return job.name in self._awaited or any(name.startswith(f"{RUN}-{job.key}-") for name in tasks)

    def take(self, job: Job) -> bool:
        """True if this job is to be handed over. False while another store's worker computes the same run; its result is entered."""
        if job.kind != RUN or not self._shared:
            return True
        try:
            holder, result = self._ask(claim, job)
        except Exception:  # a scheduler without this code, or one that is being lost: then nothing can be handed over either
            self._shared = self._client.status != "running"
            return not self._shared
        if result is not None:
            self._enter(job, result)
        if holder != job.name and result is None:
            self._awaited.add(job.name)
        else:
            self._awaited.discard(job.name)
        return holder == job.name

    def ended(self, job: Job) -> None:
        """The task of a job is over: offer its result to whoever waits."""
        if job.kind != RUN or not self._shared:
            return
        with suppress(Exception):  # the scheduler is lost; who waits computes it
            if self._ask(ended, job):
                result = self._store.result(job.key)
                self._ask(offer, job, None if result is None else result.model_dump_json())

    def _ask(self, function: Callable[..., Any], job: Job, *arguments: Any) -> Any:
        client: Any = self._client
        return client.sync(client._run_on_scheduler, function, job.key, job.name, *arguments, callback_timeout=_ANSWER)

    def _enter(self, job: Job, text: str) -> None:
        with suppress(ValidationError):  # of another version: computed here when it is forgotten there
            result = RunResult.model_validate_json(text)
            if run_key(result.spec, result.revisions) != job.key:
                return

            def finish(now: RunRecord | None) -> RunRecord | None:
                return now.begun().finished(result) if now and now.active and now.submitted == job.submitted else None

            self._store.put_result(job.key, result)
            self._store.change_record(job.key, finish)


@dataclass
class _Claim:
    """A run on the scheduler. `until`: moment up to which it is left to its holder though there is no task."""

    name: str
    until: float
    wanted: bool = False
    result: str | None = None


_board: dict[str, _Claim] = {}  # of the scheduler's process


def claim(run: str, name: str, dask_scheduler: Any = None) -> tuple[str, str | None]:
    """The name of the task that has a run, this one if none had it; and its result, once it lies ready. Called in the scheduler."""
    now, tasks = time.monotonic(), dask_scheduler.tasks
    for known, entry in tuple(_board.items()):
        if entry.name in tasks and tasks[entry.name].state not in ("memory", "erred"):
            entry.until = now + _GRACE
        elif now > entry.until:
            del _board[known]
    held = _board.setdefault(run, _Claim(name, now + _GRACE))
    if held.name != name:
        held.wanted = True
    return held.name, held.result


def ended(run: str, name: str, dask_scheduler: Any = None) -> bool:
    """The task of a run is over. True if somebody waits for its result. Called in the scheduler."""
    held = _board.get(run)
    if held is None or held.name != name:
        return False
    if not held.wanted:
        del _board[run]
    return held.wanted


def offer(run: str, name: str, result: str | None, dask_scheduler: Any = None) -> None:
    """Lay a result ready for those that wait; without one the run is anybody's again. Called in the scheduler."""
    held = _board.get(run)
    if held is None or held.name != name:
        return
    if result is None:
        del _board[run]
        return
    held.result, held.until = result, time.monotonic() + _KEPT
