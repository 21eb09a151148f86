"""Progress of a run: what its worker has announced to the scheduler. No torch."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from app.workers import tasks
from cache import RunRecord
from core.records import EVENT, Event, LayerPruned, LayerRecord, Progress, Started
from core.spec.base import FrozenModel

if TYPE_CHECKING:
    from distributed import Client


class RunProgress(FrozenModel):
    """Progress of a run, as far as the scheduler has heard. Empty when it was lost or has not heard anything yet."""

    latest: Progress | None = None
    layers: tuple[LayerRecord, ...] = ()
    started: Started | None = None
    heard: float | None = None  # when the scheduler heard of it last, in seconds since 1970
    problem: str | None = None  # why the scheduler cannot be asked


def read_progress(client: Client, record: RunRecord) -> RunProgress:
    """Progress of a run that is queued or running."""
    layers, progress = tasks.topics(tasks.task_name(record))
    told: list[Event] = []
    announced = (*events_of(client, layers), *events_of(client, progress)[-1:])
    for _, text in announced:
        with suppress(ValidationError):  # a worker of another version
            told.append(EVENT.validate_json(text))
    return RunProgress(
        latest=next((event for event in reversed(told) if isinstance(event, Progress)), None),
        layers=tuple({event.layer.name: event.layer for event in told if isinstance(event, LayerPruned)}.values()),
        started=next((event for event in reversed(told) if isinstance(event, Started)), None),
        heard=max((moment for moment, _ in announced), default=None))


def events_of(client: Client, topic: str) -> tuple[tuple[float, str], ...]:
    """Events with their times, the oldest first; nothing if the scheduler does not answer."""
    scheduler = client.scheduler
    if scheduler is None:
        return ()
    try:
        return tuple(cast("Any", client.sync(scheduler.events, topic=topic, callback_timeout=2)))
    except OSError:  # a lost connection or a silent scheduler; TimeoutError is one too
        return ()
