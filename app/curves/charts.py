"""Charts over outlier rows and over time: two panels each. Pure functions from series to Plotly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.shared.charts.axes import log_axis, share_axis
from app.shared.charts.perplexity_curves import curves
from app.shared.charts.series import Scale, add_dense, add_published, add_series, edge_of, perplexity_axis
from app.shared.style import INKS, Theme, template
from app.shared.sweeps.published import Published
from app.shared.sweeps.series import (
    Measure,
    Series,
    Spot,
    counted,
    falls,
    median_error,
    pareto,
    perplexity,
)
from core.records import Evaluated


def alpha_curves(series: Sequence[Series], dense: Evaluated, *, theme: Theme = "light", height: int = 460,
                 scale: Scale = "auto") -> go.Figure:
    """Perplexity against α, and below it the sparsity counted at each: where it falls, marks are hollow, for a lower
    perplexity proves nothing there."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.07)
    edge = edge_of(series, dense)
    for one in series:
        hollow = falls(one)
        add_series(figure, one, edge, place=_x, hollow=hollow, where={"xaxis": "x", "yaxis": "y"})
        add_series(figure, one, math.inf, place=_x, hollow=hollow, measure=counted, where={"xaxis": "x2", "yaxis": "y2"}, legend=False)
    axis = perplexity_axis(series, dense, edge, scale=scale)
    add_dense(figure, dense, theme, log=axis["type"] == "log")
    shares = [spot.value(counted) for one in series for spot in one.spots]
    low, high = (min(shares), max(shares)) if shares else (0.0, 1.0)
    room = max(0.02, 0.15 * (high - low))
    figure.update_layout(template=template(theme), height=height, margin={"l": 8, "r": 12, "t": 40, "b": 8},
                         legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "xanchor": "left"},
                         yaxis={"title": {"text": "perplexity"}, **axis},
                         yaxis2={"title": {"text": "counted sparsity"}, **share_axis(low - room, high + room, most=4)})
    figure.update_xaxes(ticks="", row=1, col=1)
    figure.update_xaxes(title="α: share of the rows left dense", tickvals=sorted({spot.x for one in series for spot in one.spots}),
                        tickformat=".3~g", row=2, col=1)
    return figure


def time_curves(series: Sequence[Series], dense: Evaluated, *, theme: Theme = "light", height: int = 430,
                scale: Scale = "auto") -> go.Figure:
    """Perplexity and layer error against the time to solve all layers, with the runs that no other beats on both."""
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.13)
    edge = edge_of(series, dense)
    panels: tuple[tuple[Measure, float, str, str], ...] = ((perplexity, edge, "x", "y"), (median_error, math.inf, "x2", "y2"))
    for measure, limit, x, y in panels:
        front = pareto([spot for one in series for spot in one.spots], measure, limit)
        figure.add_trace(go.Scatter(
            x=[spot.x for spot in front], y=[spot.value(measure) for spot in front], mode="lines", line={"shape": "hv", "width": 1.5,
            "color": INKS[theme].faint, "dash": "dot"}, name="no other run is both quicker and better", legendgroup="front",
            showlegend=measure is perplexity, hoverinfo="skip", xaxis=x, yaxis=y))
        for one in series:
            add_series(figure, one, limit, place=_x, lines=False, measure=measure, where={"xaxis": x, "yaxis": y},
                       legend=measure is perplexity)
    axis = perplexity_axis(series, dense, edge, scale=scale)
    add_dense(figure, dense, theme, log=axis["type"] == "log")
    times = [spot.x for one in series for spot in one.spots if spot.x > 0] or [1.0]
    seconds = {"title": {"text": "seconds to solve all layers"}, "showgrid": False, **log_axis(min(times), max(times) * 1.0001)}
    errors = [spot.value(median_error) for one in series for spot in one.spots if spot.value(median_error) > 0] or [1.0]
    figure.update_layout(template=template(theme), height=height, margin={"l": 8, "r": 12, "t": 56, "b": 8},
                         legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "xanchor": "left"}, xaxis=seconds,
                         yaxis={"title": {"text": "perplexity"}, **axis},
                         yaxis2={"title": {"text": "median relative error of the layers"}, **log_axis(min(errors), max(errors) * 1.0001)})
    figure.update_layout(xaxis2=seconds)
    return figure


def _x(_: Series, spot: Spot) -> float:
    return spot.x


def block_curves(series: Sequence[Series], dense: Evaluated, *, theme: Theme = "light", published: Sequence[Published] = (),
                 height: int = 430, scale: Scale = "auto") -> go.Figure:
    """Perplexity against the block size, on a logarithmic axis with a tick at each B."""
    figure = curves(series, dense, theme=theme, height=height, scale=scale, also=[number.perplexity for number in published])
    for number in published:
        add_published(figure, number, float(number.block_size or 0))
    sizes = sorted({spot.x for one in series for spot in one.spots} | {float(number.block_size or 1) for number in published})
    if sizes:
        axis = log_axis(sizes[0], sizes[-1] if sizes[-1] > sizes[0] else 2 * sizes[0])
        figure.update_xaxes(**{**axis, "tickvals": sizes, "ticktext": [f"{size:g}" for size in sizes]})
    figure.update_xaxes(title="block size B: columns pruned at a time")
    return figure
