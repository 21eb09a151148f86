"""Input-guided skipping on the device worker, between its runs: with progress, canceled within a batch. torch only inside functions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from app.workers.inputs import require_unchanged
from app.workers.process import open_store
from app.workers.requests import RequestJobs, Watch, carry_out
from cache.guided import Guiding
from cache.keys import run_key
from cache.store import Store
from core.run.revisions import revisions
from core.spec import RunSpec
from core.spec.guide import Guide

if TYPE_CHECKING:
    from app.workers.connection import Connection


class GuidingJobs(RequestJobs[Guiding]):
    """The pages' client: ask for an evaluation of a run's blocks per input, look, cancel."""

    def __init__(self, store: Store, connection: Connection) -> None:
        super().__init__(store.guided.requests, connection)

    def submit(self, spec: RunSpec, guide: Guide) -> str:
        """Ask for it; returns the run's key. Raises BadInput for a run of which no blocks go, and for a model or text that is not there."""
        guide.check(spec.pattern)
        guide.check_windows(spec.calibration.windows)
        key = run_key(spec, revisions(spec))
        self.send(key, lambda before: None if before is not None and before.active and before.guide == guide else Guiding(
            key=key, spec=spec, guide=guide, submitted=time.time()))
        return key


def guide(key: str, attempt: float) -> None:
    """Evaluate what a request asks for. The outcome goes into the store, good or bad."""
    store = open_store()
    carry_out(store.guided.requests, key, attempt, lambda request, watch: _guide(store, request, watch))


def _guide(store: Store, request: Guiding, watch: Watch[Guiding]) -> None:
    from core.run.input_guided import input_guided

    found = require_unchanged(request.spec, request.key)
    if store.guided.of_run(request.key, request.guide) is None:
        store.guided.put(request.key, input_guided(request.spec, request.guide, report=watch.tell, expected=found))
