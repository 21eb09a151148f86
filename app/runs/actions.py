"""Menu of a run in the list: move, pause, cancel, pin, name, delete."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from app.shared import resources, state
from cache.records import RunRecord

Action = Callable[[RunRecord], None]


def of(record: RunRecord) -> dict[str, Action]:
    """Entries by their words, for the state that a run is in."""
    found: dict[str, Action] = {}
    if record.state == "queued" and not record.paused:
        found |= {"Run next": partial(_move, where="first"), "Move up": partial(_move, where="up"),
                  "Move down": partial(_move, where="down")}
    if record.state == "queued":
        found["Resume" if record.paused else "Pause"] = _pause
    if record.active:
        found["Cancel"] = lambda record: resources.jobs().cancel(record.key)
    return found | {"Unpin" if record.pinned else "Pin": _pin, "Name and note": lambda record: state.remember("naming", record.key),
                    "Delete": lambda record: state.remember("deleting", record.key)}


def _move(record: RunRecord, *, where: str) -> None:
    resources.jobs().queue.move(record.key, where)  # pyright: ignore[reportArgumentType]


def _pause(record: RunRecord) -> None:
    resources.jobs().queue.pause(record.key, not record.paused)


def _pin(record: RunRecord) -> None:
    resources.jobs().pin(record.key, not record.pinned)
