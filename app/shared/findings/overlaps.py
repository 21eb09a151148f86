"""Overlap of two masks, in sentences and rows."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from app.shared import numbers
from app.shared.comparison import Compared
from app.shared.findings import wording
from core.records.overlaps import Overlap, Overlaps

if TYPE_CHECKING:
    from core.records.overlaps import Overlap


def shared_finding(a: str, b: str, counted: Overlap) -> str:
    """Overlap of two masks. `a` and `b` are what the masks are called."""
    if not counted.either:
        return f"Neither {a} nor {b} removes anything."
    if counted.same:
        return f"{a} and {b} remove exactly the same weights."
    if counted.sparsities[0] == 0:
        return f"{a} removes nothing."
    return f"Of the weights that {a} removes, {b} removes {numbers.percent(counted.common)} too."


def overlap_finding(a: Compared, b: Compared, found: Overlaps) -> str:
    """Likeness of two masks, and the layer where they are least alike."""
    whole = found.whole
    shared = shared_finding(a.label, b.label, whole)
    if whole.same:
        return shared
    least = min(found.layers, key=lambda name: found.layers[name].jaccard)
    typical = statistics.median(layer.jaccard for layer in found.layers.values())
    return (f"{shared} Jaccard index {numbers.index(whole.jaccard)}; by chance it would be {numbers.index(whole.jaccard_by_chance)}. "
            f"Median layer {numbers.index(typical)}, least alike {wording.short_name(a.layers[least])} with "
            f"{numbers.index(found.layers[least].jaccard)}.")


def overlap_rows(a: Compared, b: Compared, found: Overlaps) -> list[dict[str, object]]:
    """One row a layer, shares of its weights."""
    return [{"layer": name, "Jaccard index": layer.jaccard, "by chance": layer.jaccard_by_chance,
             **{share: count / layer.entries for share, count in (
                 ("removed by both", layer.both), (f"only by {a.label}", layer.only_a), (f"only by {b.label}", layer.only_b),
                 ("kept by both", layer.neither))}} for name, layer in found.layers.items()]
