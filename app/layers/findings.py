"""Findings on one layer, in sentences computed from its records."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from app.layers.charts.details import ENDS_AT
from app.layers.charts.method_bars import Bar
from app.layers.questions import Array, Bins, Parts, Weights
from app.shared import numbers
from app.shared.findings.wording import WEIGHED, listed
from core.records import LayerRecord
from core.records.previews import LayerEstimate

_AT_OPTIMUM = 0.005  # a gap below half a percent is none to speak of


def layer_finding(bars: Sequence[Bar], *, weighed: bool = False, shared: bool = False) -> str:
    """Share of the present method's error due to its mask, the largest gap among the methods, and the least error.

    `weighed`: masks were chosen by errors that count as their outputs do for the loss. `shared`: layers lose unequal shares.
    """
    known = [(bar, bar.record) for bar in bars if bar.record is not None and not bar.stale]
    present = next(((bar, record) for bar, record in known if bar.present), None)
    if present is None:
        return ""
    bar, record = present
    if record.relative_error <= 0:
        return f"{bar.label} does not change this layer's output."
    own = f"Every method removes the layer's own share, {numbers.percent(record.counted_sparsity)}." if shared else ""
    said = (_fault(bar.label, record), _most_left(bar, known), _least(bar, known), own, WEIGHED if weighed else "")
    return f"In {record.block}.{record.module} {' '.join(filter(None, said))}"


def map_finding(layers: Sequence[LayerRecord]) -> str:
    """The worst layer beside the typical one, and whose mask is to blame for most."""
    if gone := blocks_gone(layers):
        which = f"{'Block' if len(gone) == 1 else 'Blocks'} {listed(list(map(str, gone)))}"
        return f"{which} went with all of {'its' if len(gone) == 1 else 'their'} layers; every other layer keeps all of its weights."
    worst = max(layers, key=lambda layer: layer.relative_error)
    if worst.relative_error <= 0:
        return "No layer's output changes."
    ordered = sorted(layer.relative_error for layer in layers)
    middle = ordered[len(ordered) // 2]
    text = f"The largest error is in {worst.block}.{worst.module}: error {numbers.error(worst.relative_error)}"
    if middle > 0 and len(layers) > 1:
        text += f", {numbers.times(worst.relative_error / middle)} the median layer's"
    best = [layer.optimum_error for layer in layers if layer.optimum_error is not None]
    if len(best) < len(layers):
        return f"{text}. The best possible errors were not computed."
    share = sum(best) / sum(ordered)
    return f"{text}. Over all layers, {numbers.percent(share)} of the error is due to the masks."


def blocks_gone(layers: Sequence[LayerRecord]) -> tuple[int, ...]:
    """The blocks of which no weight is left, where the others have lost none."""
    shares: dict[int, set[float]] = {}
    for layer in layers:
        shares.setdefault(layer.block, set()).add(layer.counted_sparsity)
    whole = all(found in ({0.0}, {1.0}) for found in shares.values())
    return tuple(block for block, found in shares.items() if whole and found == {1.0})


def _fault(label: str, record: LayerRecord) -> str:
    if isinstance(record, LayerEstimate) and record.gap is None:
        return f"{label} makes an error of about {numbers.error(record.relative_error)}: an {record.error_words}."
    if record.gap is None or record.optimum_error is None:
        return f"{label} makes an error of {numbers.error(record.relative_error)}; the best possible was not computed."
    if record.gap < _AT_OPTIMUM:
        return f"{label} reaches the best possible error for its mask: all of the error is due to the mask."
    if not math.isfinite(record.gap):
        return f"{label} makes an error where its mask needs none."
    share = record.optimum_error / record.relative_error
    return (f"{label} leaves {numbers.over_optimum(record.gap)} the best possible error for its mask: "
            f"{numbers.percent(share)} of it is due to the mask.")


def _most_left(present: Bar, known: Sequence[tuple[Bar, LayerRecord]]) -> str:
    others = [(bar, record.gap) for bar, record in known
              if bar is not present and record.gap is not None and math.isfinite(record.gap)]
    if not others:
        return ""
    bar, gap = max(others, key=lambda item: item[1])
    return f"{bar.label} leaves {numbers.over_optimum(gap)} its optimum, the most of the others."


def _least(present: Bar, known: Sequence[tuple[Bar, LayerRecord]]) -> str:
    if len(known) < 2:
        return ""
    bar, record = min(known, key=lambda item: item[1].relative_error)
    if bar is present:
        return f"No other method has less error here than {bar.label}'s {numbers.error(record.relative_error)}."
    return f"The least error here is {bar.label}'s, {numbers.error(record.relative_error)}."


def parts_finding(parts: Parts) -> str:
    """Numbers of rows and columns that carry half of the error."""
    if parts.relative_error <= 0:
        return "This layer's output is unchanged: there is no error to share out."
    rows, columns = _half(parts.rows), _half(parts.columns)
    text = (f"Half of the error is in {numbers.plural(rows, 'output row')} of {numbers.count(len(parts.rows))} and in "
            f"{numbers.plural(columns, 'input column')} of {numbers.count(len(parts.columns))}.")
    if len(parts.dense_rows):
        text += f" The {numbers.plural(len(parts.dense_rows), 'outlier row')}, kept dense, have none."
    if (parts.columns < -1e-4).any():
        text += " A column below zero compensates for changes of others."
    return text


def _half(shares: Array) -> int:
    """The fewest parts that hold half of the whole together."""
    ordered = np.sort(shares.astype(np.float64))[::-1]
    return int(np.searchsorted(np.cumsum(ordered), 0.5 * ordered.sum()) + 1)


def weights_finding(weights: Weights) -> str:
    """Meaning of a cell, and the largest change."""
    high, wide = weights.cell
    cell = "A cell is one weight." if high == wide == 1 else (
        f"A cell is {high} × {wide} weights: their mean magnitude, or the one change that is largest.")
    return f"{cell} Colors end at the {numbers.setting(ENDS_AT)}th percentile; hover for the value."


def histogram_finding(bins: Bins) -> str:
    """Growth of the kept weights."""
    centers = (bins.edges[:-1] + bins.edges[1:]) / 2

    def spread(counts: Array) -> float:
        return float(np.sqrt((counts * centers**2).sum() / max(1, counts.sum())))

    before, after, gone = spread(bins.kept_before), spread(bins.kept_after), spread(bins.removed_before)
    if not bins.removed_before.sum() or before == 0:
        return "No weight of this layer goes."
    change = after / before - 1
    moved = "keep their size" if abs(change) < 0.005 else f"{'grow' if change > 0 else 'shrink'} by {numbers.percent(abs(change))}"
    return (f"In root mean square the weights that stay {moved}; those that go were {numbers.percent(gone / before)} as large as those "
            "that stay.")
