"""Gram matrices of a model that is larger than memory, collected on the device worker, block by block. torch only inside functions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from app.workers.inputs import require_unchanged
from app.workers.process import open_store
from app.workers.requests import RequestJobs, Watch, carry_out
from cache.grams import GramFolder
from cache.keys import PRUNING, grams_key, run_key
from cache.measurements import Collecting
from cache.store import Store
from core.run.revisions import revisions
from core.spec import RunSpec

if TYPE_CHECKING:
    from app.workers.connection import Connection


class CollectingJobs(RequestJobs[Collecting]):
    """The pages' client: ask for the Gram matrices of a model on its calibration text, look, cancel."""

    def __init__(self, store: Store, connection: Connection) -> None:
        super().__init__(store.collecting, connection)
        self._store = store

    def key(self, spec: RunSpec) -> str:
        """Key of the request. Raises BadInput for a model or text that is not there."""
        plain = unpruned(spec)
        return run_key(plain, revisions(plain))

    def kept(self, spec: RunSpec) -> GramFolder:
        """The Gram matrices that are there. Raises as `key`."""
        return self._store.grams(grams_key(spec, revisions(spec)))

    def submit(self, spec: RunSpec, bytes_needed: int) -> str:
        """Ask for what is missing; returns the key. Raises BadInput as `key`, and for a disk that is too small."""
        plain, key = unpruned(spec), self.key(spec)
        self._store.require_space(bytes_needed)
        self.send(key, lambda before: None if before is not None and before.active else Collecting(
            key=key, spec=plain, submitted=time.time()))
        return key


def unpruned(spec: RunSpec) -> RunSpec:
    """The same model and texts, with nothing said about pruning but what experts see."""
    kept = {name: value for name, value in spec.on_each_text[0] if name not in PRUNING}
    return RunSpec(**kept, experts="all" if spec.experts == "all" else "routed")


def collect(key: str, attempt: float) -> None:
    """Collect what a request asks for. The outcome goes into the store, good or bad; finished blocks stay."""
    store = open_store()
    carry_out(store.collecting, key, attempt, lambda request, watch: _collect(store, request, watch))


def _collect(store: Store, request: Collecting, watch: Watch[Collecting]) -> None:
    from core.linalg.cancellation import check_cancelled
    from core.models.device import choose_device
    from core.models.grams import collect_missing
    from core.models.inputs import require_same
    from core.models.open_model import open_model

    spec = request.spec
    found = require_unchanged(spec, request.key)
    watch.tell("Opening the model", 0.0)
    opened = open_model(spec, choose_device(spec.device))
    require_same(found.addresses, opened.inputs.addresses, spec)
    blocks = len(opened.block_map.blocks)
    watch.tell(f"Collecting Gram matrices: block 1 of {blocks}", 0.0)
    for block in collect_missing(opened, store.grams(grams_key(spec, found), full_is_error=True)):
        check_cancelled()
        watch.tell(f"Collecting Gram matrices: block {min(block + 2, blocks)} of {blocks}", (block + 1) / blocks)
