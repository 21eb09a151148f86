"""Whether anybody still waits for what is being computed here: long loops look up between their pieces."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

from core.errors import GivenUp

_WANTED: ContextVar[Callable[[], bool] | None] = ContextVar("wanted", default=None)


@contextmanager
def wanted_while(wanted: Callable[[], bool]) -> Generator[None]:
    """Within it, `look_up` on this thread raises GivenUp once `wanted` says no."""
    token = _WANTED.set(wanted)
    try:
        yield
    finally:
        _WANTED.reset(token)


def look_up() -> None:
    """Raises GivenUp where nobody waits any more. Cheap enough for a few thousand times a second."""
    wanted = _WANTED.get()
    if wanted is not None and not wanted():
        raise GivenUp
