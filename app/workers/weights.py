"""Pruned weights of a run: from its journal, or computed again where the journal is gone. Runs on a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.workers.inputs import require_unchanged
from cache.store import Store
from core.linalg.cancellation import check_cancelled
from core.records import Finished, Progress, RunResult
from core.spec import RunSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor



def pruned_weights(store: Store, spec: RunSpec, key: str, tell: Callable[[str, float], None],
                   ) -> tuple[RunResult | None, Mapping[str, Tensor]]:
    """The result where it is known, and the weights [out, in] by layer name. `tell` hears what is being done, and the share of it.

    A journal that lacks blocks is completed: `prune` goes on behind those that are there. Raises PruneError where the model or a text
    is another one now, Cancelled.
    """
    journal, result = store.journal(key), store.result(key)
    weights = journal.weights
    if result is not None and len(weights) == result.layers_changed:
        return result, weights
    from core.run.pipeline import prune

    for event in prune(spec, journal=journal, expected=require_unchanged(spec, key)):
        check_cancelled()
        if isinstance(event, Progress):
            tell("Pruning: the weights of this run are not kept here", event.fraction)
        elif isinstance(event, Finished):
            result = event.result
    return result, journal.weights
