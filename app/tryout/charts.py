"""Charts of the Try it out page: differences with their intervals, and accuracy over sparsity. Records to Plotly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.charts.axes import share_axis
from app.shared.style import INKS, Theme, dense_mark, method_mark, template
from core.records.tasks import Score, TaskScores
from core.spec import METHOD_LABELS, RunSpec

TIE = 2.0


@dataclass(frozen=True, kw_only=True)
class ScoredPoint:
    """A run's score on a task."""

    spec: RunSpec
    counted_sparsity: float
    scores: TaskScores


def differences(tasks: Mapping[str, TaskScores], metric: str, *, theme: Theme = "light") -> go.Figure:
    """dense − pruned in points, a line a task, with two paired standard errors to each side."""
    ink = INKS[theme]
    found = {name: change for name, scores in tasks.items() if metric in scores.scores and (change := scores.difference(metric))}
    figure = go.Figure(layout={"template": template(theme), "height": 96 + 34 * max(1, len(found)),
                               "margin": {"l": 8, "r": 12, "t": 8, "b": 8}, "showlegend": False})
    figure.add_vline(x=0, line={"color": ink.text, "width": 1, "dash": "dot"})
    figure.add_trace(go.Scatter(
        x=[100 * change.value for change in found.values()], y=list(found), mode="markers",
        marker={"color": ink.text, "size": 9, "symbol": ["circle" if _told(change) else "circle-open" for change in found.values()],
                "line": {"width": 2, "color": ink.text}},
        error_x={"type": "data", "array": [100 * TIE * (change.stderr or 0) for change in found.values()], "color": ink.faint, "width": 4},
        hovertemplate=[f"{name}: {100 * change.value:.2f} points<br>± {100 * (change.stderr or 0):.2f} (one standard error)<extra></extra>"
                       for name, change in found.items()]))
    figure.update_layout(xaxis={"title": {"text": f"accuracy lost, dense − pruned,<br>in points ({metric})"}, "showgrid": True,
                                "zeroline": False},
                         yaxis={"autorange": "reversed", "showgrid": False, "type": "category"})
    return figure


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


def _told(change: Score) -> bool:
    return change.stderr is not None and abs(change.value) > TIE * change.stderr
