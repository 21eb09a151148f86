"""Requests about finished runs, on the device worker: made and followed by the pages, carried out with progress and cancel.

    RequestJobs     the pages' client; what was asked survives scheduler and server
    carry_out       the worker's side: the record in the store is the one truth, as for runs (app/workers/tasks.py)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic

from app.workers.inputs import require_unchanged
from app.workers.patience import patiently
from app.workers.process import failure_words, log, use_all_cores
from app.workers.tasks import free_memory
from cache.requests import Asked, Requests
from cache.space import DiskFull
from core.spec.errors import Cancelled

if TYPE_CHECKING:
    from app.workers.connection import Connection

_TELL_SECONDS = 0.4  # at most one look at the record, and one change of it, in this time


class RequestJobs(Generic[Asked]):
    """Requests of one kind."""

    def __init__(self, requests: Requests[Asked], connection: Connection) -> None:
        self.requests, self._connection = requests, connection

    @property
    def problem(self) -> str | None:
        """Reason why nobody can be asked to compute."""
        return self._connection.error

    def send(self, key: str, ask: Callable[[Asked | None], Asked | None]) -> None:
        """Change the request of a run; where it is active then, it is in the queue."""
        self.requests.change(key, ask)
        self._connection.tell_queue()

    def cancel(self, key: str) -> None:
        """Stop a request within a moment; what it has finished stays."""
        self.requests.change(key, lambda request: request.ended("cancelled") if request and request.active else None)


def carry_out(requests: Requests[Asked], key: str, attempt: float, work: Callable[[Asked, Watch[Asked]], None]) -> None:
    """Carry out a request, unless it was canceled or made again since. Its outcome, good or bad, goes into its record."""
    request = patiently(lambda: requests.change(
        key, lambda request: request.model_copy(update={"state": "running", "heard": time.time()})
        if request and request.is_attempt(attempt) else None))
    if request is None or not request.is_attempt(attempt):
        return
    try:
        use_all_cores()
        from core.linalg.cancellation import cancel_unless

        watch = Watch(requests=requests, key=key, attempt=attempt)
        with cancel_unless(watch.wanted):
            require_unchanged(request.spec, key)
            work(request, watch)
        patiently(lambda: requests.change(
            key, lambda request: request.ended("finished") if request and request.is_attempt(attempt) else None))
    except Cancelled:
        pass  # the record says so already
    except Exception as error:
        log.exception("a request about %s failed", key)
        reason = failure_words(error)
        patiently(lambda: requests.change(
            key, lambda request: request.ended("failed", reason) if request and request.is_attempt(attempt) else None))
    finally:
        free_memory()


@dataclass(kw_only=True)
class Watch(Generic[Asked]):
    """Looks at the record now and then, whether it is still wanted, and says there what is being done."""

    requests: Requests[Asked]
    key: str
    attempt: float
    looked: float = field(default=float("-inf"))
    told: tuple[str, float] = ("", float("-inf"))
    still: bool = True

    def wanted(self) -> bool:
        """False once the request was canceled, made again or deleted."""
        if self.still and time.monotonic() > self.looked + _TELL_SECONDS:
            self.looked = time.monotonic()
            request = self.requests.read(self.key)
            self.still = request is not None and request.is_attempt(self.attempt)
        return self.still

    def tell(self, words: str, share: float) -> None:
        """Put what is being done, and the share that is done, into the record."""
        if words == self.told[0] and time.monotonic() < self.told[1] + _TELL_SECONDS:
            return
        self.told = words, time.monotonic()
        with suppress(DiskFull):  # only words
            self.requests.change(self.key, lambda request: request.model_copy(
                update={"doing": words, "share": share, "heard": time.time()}) if request and request.is_attempt(self.attempt) else None)
