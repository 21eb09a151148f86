"""Chart of zero-shot accuracy over sparsity. Records to Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.charts.axes import share_axis
from app.shared.style import INKS, Theme, dense_mark, method_mark, template
from core.records.tasks import TaskScores
from core.spec import METHOD_LABELS, RunSpec


@dataclass(frozen=True, kw_only=True)
class ScoredPoint:
    """A run's score on a task."""

    spec: RunSpec
    counted_sparsity: float
    scores: TaskScores


def accuracy_curve(points: Sequence[ScoredPoint], metric: str, *, theme: Theme = "light", height: int = 380) -> go.Figure:
    """Accuracy against the counted sparsity, one line a method, with one standard error; the dense model and guessing as lines."""
    ink = INKS[theme]
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 12, "t": 30, "b": 8}})
    for method in dict.fromkeys(point.spec.method.name for point in points):
        mine = sorted((point for point in points if point.spec.method.name == method), key=lambda point: point.counted_sparsity)
        mark, values = method_mark(method), [point.scores.scores[metric] for point in mine]
        figure.add_trace(go.Scatter(
            x=[point.counted_sparsity for point in mine], y=[value.value for value in values], name=METHOD_LABELS[method],
            mode="lines+markers", line={"color": mark.color, "dash": mark.dash, "width": 2},
            marker={"color": mark.color, "symbol": mark.symbol, "size": 9},
            error_y={"type": "data", "array": [value.stderr or 0 for value in values], "color": mark.color, "width": 3, "thickness": 1},
            hovertemplate=[f"{METHOD_LABELS[method]} at {numbers.percent(point.counted_sparsity)}<br>"
                           f"{metric} {numbers.percent(value.value)}<br>{point.scores.examples} examples<extra></extra>"
                           for point, value in zip(mine, values, strict=True)]))
    dense = next((point.scores.dense for point in points if point.scores.dense), None)
    low = min((point.scores.scores[metric].value for point in points), default=0.0)
    if dense is not None:
        figure.add_hline(y=dense.scores[metric].value, line={"color": dense_mark(theme).color, "width": 1.5}, annotation_text="dense",
                         annotation_position="top left", annotation_font_color=ink.text)
    chance = next((point.scores.chance for point in points if point.scores.chance is not None), None)
    if chance is not None:
        low = min(low, chance)
        figure.add_hline(y=chance, line={"color": ink.faint, "width": 1.5, "dash": "dot"}, annotation_text="guessing",
                         annotation_position="bottom left", annotation_font_color=ink.text)
    figure.update_layout(
        xaxis={"title": {"text": "counted sparsity of the pruned layers"},
               **share_axis(0, max([0.75, *(point.counted_sparsity + 0.03 for point in points)]))},
        yaxis={"title": {"text": metric}, **share_axis(max(0.0, low - 0.06), 1.0)},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "xanchor": "left"}, showlegend=True)
    return figure
