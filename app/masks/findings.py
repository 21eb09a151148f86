"""Findings on a mask, or on two of them: sentences computed from counts."""

from __future__ import annotations

import numpy as np

from app.masks.questions import Array, Mask, Pair
from app.shared import numbers
from app.shared.findings.overlaps import shared_finding
from core.records.previews import LayerEstimate


def mask_finding(mask: Mask) -> str:
    """Spread of the removed weights over rows and columns."""
    record = mask.record
    entries = record.parameters
    gone = round(record.counted_sparsity * entries)
    about = "" if mask.sampled is None else "about "
    text = f"{about}{numbers.count(gone)} of {numbers.count(entries)} weights go, {numbers.percent(record.counted_sparsity)}."
    text = text[0].upper() + text[1:]
    if not gone:
        return text
    text += f" Rows lose {_spread(mask.rows)} of their weights, columns {_spread(mask.columns)}."
    if len(mask.dense_rows):
        text += f" Whole {'stays' if len(mask.dense_rows) == 1 else 'stay'} {numbers.plural(len(mask.dense_rows), 'outlier row')}."
    if record.dense_columns:
        last = "column, too little for a group, stays" if record.dense_columns == 1 else (
            f"{numbers.count(record.dense_columns)} columns, too few for a group, stay")
        text += f" The last {last} whole."
    return text


def pair_finding(a: str, b: str, pair: Pair) -> str:
    """Overlap of two masks, and the error of each."""
    same = pair.overlap.same
    return f"{shared_finding(a if same else 'A', b if same else 'B', pair.overlap)} {_errors(pair)}"


def _errors(pair: Pair) -> str:
    a, b = pair.a, pair.b
    about = ["about " if isinstance(record, LayerEstimate) else "" for record in (a, b)]
    text = f"A leaves error {about[0]}{numbers.error(a.relative_error)}, B {about[1]}{numbers.error(b.relative_error)}"
    if a.optimum_error and b.optimum_error and a.optimum_error > 0 and b.optimum_error > 0:
        text += (f"; at best A's mask costs {numbers.error(a.optimum_error)} and B's {numbers.error(b.optimum_error)}, "
                 f"{numbers.times(b.optimum_error / a.optimum_error)} that")
    return f"{text}."


def _spread(shares: Array) -> str:
    low, high = float(np.min(shares)), float(np.max(shares))
    if high - low < 0.0005:
        return f"{numbers.percent(high)} each"
    return f"{numbers.percent(low)} to {numbers.percent(high)}"
