"""Requests about finished runs: scores, an export, a measurement. One row a run and kind: what was asked, and where it is. No torch.

    PREFIX-RUN     the request of its kind that was made last
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, Self, TypeVar

from cache.records import ACTIVE, RunState
from cache.rows import CheckedRows
from core.spec import RunSpec
from core.spec.base import FrozenModel


class Request(FrozenModel):
    """A request. `key` is its run's; times are seconds since 1970, and `submitted` tells one attempt from the next."""

    key: str
    spec: RunSpec
    state: RunState = "queued"
    submitted: float
    doing: str = ""
    share: float = 0.0  # of all that is to be done
    heard: float | None = None
    error: str | None = None

    @property
    def active(self) -> bool:
        """True while it waits, or is being computed."""
        return self.state in ACTIVE

    def is_attempt(self, submitted: float) -> bool:
        """True while it is active and was submitted then."""
        return self.active and self.submitted == submitted

    def ended(self, state: RunState, error: str | None = None) -> Self:
        """It is over."""
        return self.model_copy(update={"state": state, "error": error, "doing": "", "heard": time.time()})


Asked = TypeVar("Asked", bound=Request)


class Requests(Generic[Asked]):
    """Requests of one kind. Safe to share between threads and processes."""

    def __init__(self, rows: CheckedRows, prefix: str, model: type[Asked]) -> None:
        self._rows, self._prefix, self.model = rows, f"{prefix}-", model

    def row(self, key: str) -> str:
        """Name of the row of a run's request."""
        return f"{self._prefix}{key}"

    def read(self, key: str) -> Asked | None:
        """The request of a run that was made last."""
        return self._rows.read(f"{self._prefix}{key}", self.model)

    def change(self, key: str, change: Callable[[Asked | None], Asked | None]) -> Asked | None:
        """Read, change and write in one transaction. `change` may return None to leave things be. Returns what is there then."""

        def work() -> Asked | None:
            before = self.read(key)
            after = change(before)
            if after is not None and after != before:
                self._rows.set(f"{self._prefix}{key}", after.model_dump_json())
            return after or before

        return self._rows.atomically(work)

    def active(self) -> tuple[Asked, ...]:
        """Requests that wait or are computed, the oldest first."""
        names = self._rows.keys_from(self._prefix)
        found = [request for name in names if (request := self.read(name.removeprefix(self._prefix))) is not None]
        return tuple(sorted((request for request in found if request.active), key=lambda request: request.submitted))

    def delete(self, key: str) -> None:
        """Remove the request of a run."""
        self._rows.delete(f"{self._prefix}{key}")
