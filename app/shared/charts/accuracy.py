"""Chart of zero-shot accuracy over sparsity. Records to Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.charts.axes import share_axis
from app.shared.style import INKS, Theme, dense_mark, method_mark, template
from core.records.tasks import TaskScores
from core.spec import METHOD_LABELS, METHODS, RunSpec

_APART = 0.003  # of counted sparsity, from a method's marks to the next one's
_NEAR = 0.15  # accuracy to guessing: what is farther would flatten the rest


@dataclass(frozen=True, kw_only=True)
class ScoredPoint:
    """A run's score on a task."""

    spec: RunSpec
    counted_sparsity: float
    scores: TaskScores


def accuracy_curve(points: Sequence[ScoredPoint], metric: str, *, theme: Theme = "light", height: int = 380) -> go.Figure:
    """Accuracy against the counted sparsity, one line a method, and the dense model as a line; guessing too where it is near.

    Bars are one standard error of the difference to the dense model on the same examples, or of the accuracy where that is not known.
    Methods stand beside each other a little, so that their bars can be told apart.
    """
    ink = INKS[theme]
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 12, "t": 30, "b": 8}})
    methods = [method for method in METHODS if any(point.spec.method.name == method for point in points)]
    for place, method in enumerate(methods):
        mine = sorted((point for point in points if point.spec.method.name == method), key=lambda point: point.counted_sparsity)
        mark, aside = method_mark(method), _APART * (place - (len(methods) - 1) / 2)
        figure.add_trace(go.Scatter(
            x=[point.counted_sparsity + aside for point in mine], y=[point.scores.scores[metric].value for point in mine],
            name=METHOD_LABELS[method], mode="lines+markers", line={"color": mark.color, "dash": mark.dash, "width": 2},
            marker={"color": mark.color, "symbol": mark.symbol, "size": 9},
            error_y={"type": "data", "array": [_bar(point, metric) for point in mine], "color": mark.color, "width": 3, "thickness": 1},
            hovertemplate=[_hover(point, metric) for point in mine]))
    ends = [value for point in points for value in _ends(point, metric)]
    dense = next((point.scores.dense for point in points if point.scores.dense), None)
    if dense is not None:
        ends.append(dense.scores[metric].value)
        figure.add_hline(y=ends[-1], line={"color": dense_mark(theme).color, "width": 1.5}, annotation_text="dense",
                         annotation_position="top right", annotation_font_color=ink.text)
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    chance = next((point.scores.chance for point in points if point.scores.chance is not None), None)
    if chance is not None and low - chance < _NEAR:
        low = min(low, chance)
        figure.add_hline(y=chance, line={"color": ink.faint, "width": 1.5, "dash": "dot"}, annotation_text="guessing",
                         annotation_position="bottom left", annotation_font_color=ink.text)
    shares, room = [point.counted_sparsity for point in points], 0.08 * (high - low) + 0.01
    figure.update_layout(
        xaxis={"title": {"text": "counted sparsity of the pruned layers"},
               **share_axis(max(0.0, min(shares, default=0.0) - 0.03), max(shares, default=0.7) + 0.03)},
        yaxis={"title": {"text": metric}, **share_axis(max(0.0, low - room), min(1.0, high + room))},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "xanchor": "left"}, showlegend=True)
    return figure


def _bar(point: ScoredPoint, metric: str) -> float:
    change = point.scores.difference(metric)
    return (change.stderr if change is not None else point.scores.scores[metric].stderr) or 0.0


def _ends(point: ScoredPoint, metric: str) -> tuple[float, float]:
    value, bar = point.scores.scores[metric].value, _bar(point, metric)
    return value - bar, value + bar


def _hover(point: ScoredPoint, metric: str) -> str:
    change = point.scores.difference(metric)
    error = f" ± {100 * change.stderr:.1f}" if change is not None and change.stderr is not None else ""
    told = f"<br>dense − pruned {100 * change.value:.1f}{error} points" if change is not None else ""
    return (f"{METHOD_LABELS[point.spec.method.name]} at {numbers.percent(point.counted_sparsity)}<br>"
            f"{metric} {numbers.percent(point.scores.scores[metric].value)}{told}<br>{point.scores.examples} examples<extra></extra>")
