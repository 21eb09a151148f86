"""Two weights: the correlation of the inputs, and the loss of pairs. Pure functions from answers to Plotly."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.learn.charts.matrix import bare, cells, matrix_axes, panel_title, pressable, ring
from app.shared.style import INKS, Theme
from core.records.lessons import TwoWeights


def pairs(found: TwoWeights, row: int, first: int, second: int, *, revealed: bool, theme: Theme = "light", height: int = 430) -> go.Figure:
    """Correlations of the inputs, and the cost of each pair of a row against the sum of the two alone."""
    columns = found.hessian.shape[0]
    scale = np.sqrt(np.diag(found.hessian))
    correlation = found.hessian / scale / scale[:, None]
    np.fill_diagonal(correlation, np.nan)
    more = interaction(found)[row]
    figure = bare(theme, height)
    figure.add_trace(cells(correlation, theme, limit=1.0))
    figure.add_trace(pressable(columns, columns, _labels(correlation, "correlation of inputs {0} and {1}: {2:.2f}")))
    shown = np.where(np.eye(columns, dtype=bool), np.nan, np.log2(more)) if revealed else np.full_like(more, np.nan)
    figure.add_trace(cells(shown, theme, limit=max(0.2, float(np.nanmax(np.abs(shown), initial=0.0))), xaxis="x2", yaxis="y2"))
    hover = _labels(more, "removing inputs {0} and {1} together: {2:.2f} times the sum") if revealed else np.full(more.shape, "guess first",
                                                                                                               dtype=object)
    figure.add_trace(pressable(columns, columns, hover, xaxis="x2", yaxis="y2"))
    x, y = matrix_axes(columns, columns)
    rings = [ring(a, b, theme, xref=f"x{axis}", yref=f"y{axis}") for axis in ("", "2") for a, b in ((first, second), (second, first))]
    title = f"Row {row}: loss of a pair ÷ sum of the two" if revealed else "The loss of a pair ÷ the sum: guess first"
    figure.update_layout(
        xaxis={**x, "domain": [0, 0.46], "title": {"text": "input; blue: positive, red: negative"}},
        yaxis={**y, "title": {"text": "input"}},
        xaxis2={**x, "domain": [0.54, 1], "anchor": "y2", "title": {"text": "input; blue: above 1, red: below" if revealed else "input"}},
        yaxis2={**y, "anchor": "x2"}, shapes=rings,
        annotations=[panel_title("Correlation of the inputs, from H", 0, 1.0, theme), panel_title(title, 0.54, 1.0, theme)])
    if not revealed:
        figure.add_annotation(text="?", x=0.77, y=0.5, xref="paper", yref="paper", showarrow=False,
                              font={"size": 90, "color": INKS[theme].grid})
    return figure


def interaction(found: TwoWeights) -> NDArray[np.float64]:
    """The loss of a pair over the sum of the two alone [c, b, b]; 1 on the diagonal, and where both cost nothing."""
    alone = np.diagonal(found.pair, axis1=1, axis2=2)
    together = alone[:, :, None] + alone[:, None, :]
    ratio = np.divide(found.pair, together, out=np.ones_like(found.pair), where=together > 0)
    ratio[:, np.arange(ratio.shape[1]), np.arange(ratio.shape[1])] = 1.0
    return ratio


def _labels(values: NDArray[np.float64], form: str) -> NDArray[np.object_]:
    texts = np.empty(values.shape, dtype=object)
    for place in np.ndindex(values.shape):
        texts[place] = form.format(*place, values[place]) if place[0] != place[1] else f"input {place[0]} itself"
    return texts
