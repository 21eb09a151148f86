"""Size and speed of a run's pruned model, measured on the device worker between its runs. torch only inside functions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from app.workers.inputs import require_unchanged
from app.workers.process import open_store
from app.workers.requests import RequestJobs, Watch, carry_out
from cache.keys import run_key
from cache.measurements import Measured, Measuring
from cache.store import Store
from core.run.revisions import revisions
from core.spec import RunSpec

if TYPE_CHECKING:
    from app.workers.connection import Connection

_READING = 0.3  # share of the work that is left to reading, or computing, the weights


class MeasuringJobs(RequestJobs[Measuring]):
    """The pages' client: ask for size and speed of a run, look, cancel."""

    def __init__(self, store: Store, connection: Connection) -> None:
        super().__init__(store.measurements.requests, connection)

    def submit(self, spec: RunSpec) -> str:
        """Ask for a measurement; returns the run's key. Raises BadInput for a model or text that is not there."""
        key = run_key(spec, revisions(spec))
        self.send(key, lambda before: None if before is not None and before.active else Measuring(
            key=key, spec=spec, submitted=time.time()))
        return key


def measure(key: str, attempt: float) -> None:
    """Measure what a request asks for. The outcome goes into the store, good or bad."""
    store = open_store()
    carry_out(store.measurements.requests, key, attempt, lambda request, watch: _measure(store, request, watch))


def _measure(store: Store, request: Measuring, watch: Watch[Measuring]) -> None:
    from app.workers.weights import pruned_weights
    from core.evaluate.measured_model import require_whole
    from core.evaluate.size_and_speed import size_and_speed

    spec = request.spec
    require_whole(spec, pruned=not spec.pattern.shrinks, remedy="Save the pruned model, and measure it where memory holds it.")
    found = require_unchanged(spec, request.key)
    watch.tell("Reading the pruned weights", 0.0)
    result, weights = pruned_weights(store, spec, request.key, lambda words, share: watch.tell(words, _READING * share))
    size, speed = size_and_speed(spec, weights, report=lambda words, share: watch.tell(words, _READING + (1 - _READING) * share),
                                 shape=result.shape if result else None, expected=found.model)
    store.measurements.put(request.key, Measured(size=size, speed=speed, moment=time.time()))
