"""Chart of zeros, columns, neurons and blocks together: perplexity against what is left, or against measured throughput.

What is left is counted alike for all: weights of the pruned layers that are neither zero nor gone. Throughput is that of the pruned model
over the dense one's, measured in turn in one process, so that runs of different days can stand together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.charts.axes import share_axis
from app.shared.charts.series import Scale, add_dense, add_series, edge_of, perplexity_axis
from app.shared.style import INKS, Mark, Theme, run_marks, template
from app.shared.sweeps.series import Measure, Series, decode, left, prefill
from core.records import Evaluated

Over = Literal["parameters", "prefill", "decode"]
OVERS: dict[Over, str] = {"parameters": "Parameters left", "prefill": "Speed of prefill", "decode": "Speed of decode"}
MEASURES: dict[Over, Measure] = {"parameters": left, "prefill": prefill, "decode": decode}
_TITLES: dict[Over, str] = {
    "parameters": "parameters left in the pruned layers: neither zero nor gone",
    "prefill": "tokens a second in prefill, over the dense model's",
    "decode": "tokens a second in decode, over the dense model's"}


def shape_curves(series: Sequence[Series], dense: Evaluated, *, over: Over = "parameters", theme: Theme = "light", height: int = 470,
                 scale: Scale = "auto", marks: Sequence[Mark] = ()) -> go.Figure:
    """Perplexity of series whose x is MEASURES[over]. `marks`: one a series; by default all different. Better is lower, and to the left
    over parameters, to the right over speed."""
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 12, "t": 8, "b": 8}})
    edge = edge_of(series, dense)
    for one, mark in zip(series, marks or run_marks([one.method for one in series]), strict=True):
        lines = over == "parameters" and len({spot.x for spot in one.spots}) > 1
        add_series(figure, one, edge, place=lambda _, spot: spot.x, lines=lines, mark=mark)
    axis = perplexity_axis(series, dense, edge, scale=scale)
    add_dense(figure, dense, theme, log=axis["type"] == "log")
    values = [spot.x for one in series for spot in one.spots if math.isfinite(spot.x)]
    figure.update_layout(
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0, "xanchor": "left"},
        yaxis={"title": {"text": "perplexity"}, **axis},
        xaxis={"title": {"text": _TITLES[over]}, **(_shares(values) if over == "parameters" else _ratios(values))})
    if over != "parameters":
        figure.add_vline(x=1, line={"color": INKS[theme].faint, "width": 1, "dash": "dot"})
    return figure


def _shares(values: Sequence[float]) -> dict[str, Any]:
    """Shares that fall from left to right: what is taken away grows along the axis, as on the chart over sparsity."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    axis = share_axis(low - 0.03, min(1.0, high + 0.03) + 0.005)
    return {**axis, "range": axis["range"][::-1]}


def _ratios(values: Sequence[float]) -> dict[str, Any]:
    low, high = min([1.0, *values]), max([1.0, *values])
    room = max(0.03, 0.06 * (high - low))
    axis = share_axis(low - room, high + room)
    return {**axis, "ticktext": [numbers.times(value) for value in axis["tickvals"]]}
