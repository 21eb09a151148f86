"""From perplexity on a preview's windows to that of the whole text: one protocol for every page, marked by ≈.

    estimate = perplexity of the dense model on all windows × perplexity of the pruned model / of the dense model, on the same first windows
"""

from __future__ import annotations

import math
from statistics import fmean

from app.shared import numbers
from core.records import Evaluated
from core.records.previews import Preview


def scale(dense: Evaluated | None, measured: Evaluated) -> float | None:
    """Factor from perplexity on the first windows, as `measured` has it, to all of them, by the dense model's losses; None: unknown.

    `dense`: the unpruned model on all windows, under the same protocol, where a run has measured it window by window.
    """
    if dense is None or dense.losses is None or not 0 < measured.windows <= len(dense.losses):
        return None
    return math.exp(fmean(dense.losses) - fmean(dense.losses[:measured.windows]))


def perplexities(preview: Preview, dense: Evaluated | None) -> tuple[float, float]:
    """Of a preview: the dense model's perplexity and the estimate of the pruned one's, on all windows where the dense one's is known."""
    before = (dense or preview.dense).perplexity
    return before, before * preview.ratio


def shown(value: float) -> str:
    """An estimated perplexity as text."""
    return f"≈\u00a0{numbers.perplexity(value)}"


def origin(measured: Evaluated, *, scaled: bool) -> str:
    """Basis of an estimate, for the line below it."""
    first = f"first {numbers.plural(measured.windows, 'window')} of {measured.length} tokens"
    return f"≈ from the {first}, scaled to all" if scaled else f"≈ on the {first}"
