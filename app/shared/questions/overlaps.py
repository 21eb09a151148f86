"""Question on the overlap of two finished runs: counted from the pruned weights that the store keeps of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.workers.questions import StoreQuestion
from cache.keys import run_key
from core.records import RunResult
from core.records.overlaps import Overlap, Overlaps, count_masks
from core.spec.errors import BadInput

if TYPE_CHECKING:
    from cache.store import Store
    from core.run.journal import BlockState
    from core.run.kept_blocks import BlockJournal

NOT_KEPT = ("No pruned weights are kept of {}: shipped runs come without them, and so does a run that was made by another program. "
            "Run the same on the Explore page to compare its mask.")


class OverlapsQuestion(StoreQuestion):
    """Two runs by their keys. `spec` is that of A."""

    a: str
    b: str

    def answer_from(self, store: Store) -> Overlaps:
        """Read block by block: never more than one block of each run is in memory. Raises BadInput where one is missing."""
        found = dict(self._counted(store.journal(self.a), store.journal(self.b)))
        if not found:
            raise BadInput("runs", f"{self.a[:8]} and {self.b[:8]}", "runs that share a layer of the same shape",
                           "Choose two runs of one model.")
        return Overlaps(layers=found)

    def _counted(self, first: BlockJournal, second: BlockJournal) -> Iterator[tuple[str, Overlap]]:
        for block in range(max(first.blocks, second.blocks, 1)):
            ours, theirs = _block(first, self.a, block), _block(second, self.b, block).weights
            for name in (layer.name for layer in ours.layers):
                if name in theirs and theirs[name].shape == ours.weights[name].shape:
                    yield name, count_masks(ours.weights[name] == 0, theirs[name] == 0)


def kept_key(store: Store, result: RunResult, key: str | None = None) -> str | None:
    """The key under which the store has the pruned weights of every block of a run; None if it has not. `key`: where it is known.
    A run that was shipped, or made elsewhere, and computed here too has them."""
    key = key or run_key(result.spec, result.revisions)
    blocks = len({layer.block for layer in result.layers})
    return key if store.journal(key).blocks >= blocks > 0 else None


def _block(journal: BlockJournal, key: str, block: int) -> BlockState:
    state = journal.read(block)
    if state is None:
        raise BadInput("run", key[:8], "runs whose pruned weights are kept",
                       "Delete it and run it again: its blocks are written down as it goes.")
    return state
