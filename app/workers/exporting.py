"""Zip of a run's pruned model, written on the device worker below HOME/exports (cache/exports.py). torch only inside functions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from app.workers.process import open_store
from app.workers.requests import RequestJobs, Watch, carry_out
from cache.exports import Export
from cache.keys import run_key
from cache.store import Store
from core.export.room import archive_name, room_bytes, zip_bytes
from core.run.revisions import revisions
from core.spec import RunSpec

if TYPE_CHECKING:
    from app.workers.connection import Connection

_READING = 0.6  # share of the work that is left to reading, or computing, the weights


class ExportJobs(RequestJobs[Export]):
    """The pages' client: ask for a run's zip, look, cancel."""

    def __init__(self, store: Store, connection: Connection) -> None:
        super().__init__(store.exports.requests, connection)
        self._store = store

    def submit(self, spec: RunSpec) -> str:
        """Ask for the zip of a run; returns the run's key. What is there or being made is not made again. Raises BadInput for a model
        or text that is not there, a zip beyond the bound, and a disk that is too small."""
        key = run_key(spec, revisions(spec))
        if self._store.exports.ready(key) is None:
            self._store.exports.make_room(zip_bytes(spec))
            self._store.require_space(room_bytes(spec))

        def ask(before: Export | None) -> Export | None:
            there = before is not None and (before.active or self._store.exports.ready(key) is not None)
            return None if there else Export(key=key, spec=spec, name=archive_name(spec), submitted=time.time())

        self.send(key, ask)
        return key


def export(key: str, attempt: float) -> None:
    """Write the zip that a request asks for. The outcome goes into the store, whatever it is."""
    store = open_store()
    carry_out(store.exports.requests, key, attempt, lambda request, watch: _export(store, request, watch))


def _export(store: Store, request: Export, watch: Watch[Export]) -> None:
    from app.workers.weights import pruned_weights
    from core.export.archive import write_zip

    spec = request.spec
    store.exports.make_room(zip_bytes(spec))
    store.require_space(room_bytes(spec))
    watch.tell("Reading the pruned weights", 0.0)
    result, weights = pruned_weights(store, spec, request.key, lambda words, share: watch.tell(words, _READING * share))
    assert result is not None, "a run ends with its result"
    target = store.exports.path(request.key)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    target.unlink(missing_ok=True)
    scores = store.scores.of_run(request.key)
    written = write_zip(result.model_copy(update={"tasks": scores}) if scores else result, weights, target,
                        lambda words, share: watch.tell(words, _READING + (1 - _READING) * share), name=request.name)
    checked = written.export.words if written.export else ""
    store.exports.requests.change(request.key, lambda now: now.model_copy(update={"checked": checked})
                                  if now and now.is_attempt(watch.attempt) else None)
