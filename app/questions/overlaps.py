"""Which weights two finished runs have both removed: counted from the pruned weights that the store keeps of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.questions import StoreQuestion
from core.errors import BadInput
from core.noun import Noun

if TYPE_CHECKING:
    from cache.journal import BlockJournal
    from cache.store import Store
    from core.journal import BlockState


class LayerOverlap(Noun):
    """The weights of one layer that both runs A and B removed, only one of them, or neither."""

    name: str
    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def jaccard(self) -> float:
        """Removed by both over removed by either; 1 where neither removes anything."""
        either = self.both + self.only_a + self.only_b
        return self.both / either if either else 1.0

    @property
    def by_chance(self) -> float:
        """The Jaccard index of two masks of these sparsities p and q that know nothing of each other: pq / (p + q − pq)."""
        entries = self.both + self.only_a + self.only_b + self.neither
        p, q = (self.both + self.only_a) / entries, (self.both + self.only_b) / entries
        return p * q / (p + q - p * q) if p + q else 1.0

    @property
    def common(self) -> float:
        """Of the weights that A removes, the share that B removes too; 1 where A removes none."""
        return self.both / (self.both + self.only_a) if self.both + self.only_a else 1.0


class Overlaps(Noun):
    """All layers that both runs have, with the same shape, in the order of A."""

    layers: tuple[LayerOverlap, ...]

    @property
    def whole(self) -> LayerOverlap:
        """The same of the whole model."""
        return LayerOverlap(name="", **{field: sum(getattr(layer, field) for layer in self.layers)
                                        for field in ("both", "only_a", "only_b", "neither")})


class OverlapsQuestion(StoreQuestion):
    """Two runs by their keys. `spec` is that of A."""

    a: str
    b: str

    def answer_from(self, store: Store) -> Overlaps:
        """Read block by block: never more than one block of each run is in memory. Raises BadInput where one is missing."""
        first, second = store.journal(self.a), store.journal(self.b)
        found: list[LayerOverlap] = []
        for block in range(max(first.blocks, second.blocks, 1)):
            ours, theirs = _block(first, self.a, block), _block(second, self.b, block).weights
            for name in (layer.name for layer in ours.layers):
                if name in theirs and theirs[name].shape == ours.weights[name].shape:
                    gone, also = ours.weights[name] == 0, theirs[name] == 0
                    both, removed, others = (int(mask.count_nonzero()) for mask in (gone & also, gone, also))
                    found.append(LayerOverlap(name=name, both=both, only_a=removed - both, only_b=others - both,
                                              neither=gone.numel() - removed - others + both))
        if not found:
            raise BadInput("runs", f"{self.a[:8]} and {self.b[:8]}", "runs that share a layer of the same shape",
                           "Choose two runs of one model.")
        return Overlaps(layers=tuple(found))


def _block(journal: BlockJournal, key: str, block: int) -> BlockState:
    state = journal.read(block)
    if state is None:
        raise BadInput("run", key[:8], "runs whose pruned weights are kept",
                       "Delete it and run it again: its blocks are written down as it goes.")
    return state
