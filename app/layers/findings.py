"""Findings on one layer, in sentences computed from its records."""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.layers.charts.method_bars import Bar
from app.shared import numbers
from core.records import LayerRecord

WEIGHED = "Here an error counts all outputs the same; the methods went by what the loss feels."
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
    worst = max(layers, key=lambda layer: layer.relative_error)
    if worst.relative_error <= 0:
        return "No layer's output changes."
    ordered = sorted(layer.relative_error for layer in layers)
    middle = ordered[len(ordered) // 2]
    text = f"The largest error is in {worst.block}.{worst.module}: error {numbers.error(worst.relative_error)}"
    if middle > 0 and len(layers) > 1:
        text += f", {numbers.times(worst.relative_error / middle)} the median layer's"
    share = sum(layer.optimum_error for layer in layers) / sum(ordered)
    return f"{text}. Over all layers, {numbers.percent(share)} of the error is due to the masks."


def _fault(label: str, record: LayerRecord) -> str:
    if record.gap < _AT_OPTIMUM:
        return f"{label} reaches the best possible error for its mask: all of the error is due to the mask."
    if not math.isfinite(record.gap):
        return f"{label} makes an error where its mask needs none."
    share = record.optimum_error / record.relative_error
    return (f"{label} leaves {numbers.over_optimum(record.gap)} the best possible error for its mask: "
            f"{numbers.percent(share)} of it is due to the mask.")


def _most_left(present: Bar, known: Sequence[tuple[Bar, LayerRecord]]) -> str:
    others = [(bar, record) for bar, record in known if bar is not present and math.isfinite(record.gap)]
    if not others:
        return ""
    bar, record = max(others, key=lambda item: item[1].gap)
    return f"{bar.label} leaves {numbers.over_optimum(record.gap)} its optimum, the most of the others."


def _least(present: Bar, known: Sequence[tuple[Bar, LayerRecord]]) -> str:
    if len(known) < 2:
        return ""
    bar, record = min(known, key=lambda item: item[1].relative_error)
    if bar is present:
        return f"No other method has less error here than {bar.label}'s {numbers.error(record.relative_error)}."
    return f"The least error here is {bar.label}'s, {numbers.error(record.relative_error)}."
