"""Cancellation of long computations: loops check between their pieces whether the result is still wanted."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

from core.spec.errors import Cancelled

_WANTED: ContextVar[Callable[[], bool] | None] = ContextVar("wanted", default=None)


@contextmanager
def cancel_unless(wanted: Callable[[], bool]) -> Generator[None]:
    """Within it, `check_cancelled` on this thread raises Cancelled once `wanted` says no."""
    token = _WANTED.set(wanted)
    try:
        yield
    finally:
        _WANTED.reset(token)


def check_cancelled() -> None:
    """Raises Cancelled where nobody waits any more. Cheap enough for a few thousand times a second."""
    wanted = _WANTED.get()
    if wanted is not None and not wanted():
        raise Cancelled
