"""Pieces of charts over series: marks with lines and bands, the dense model, published numbers, the axis of perplexity."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, Literal

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.charts.axes import log_axis
from app.shared.findings.wording import describe
from app.shared.style import INKS, Mark, Theme, dense_mark, method_mark
from app.shared.sweeps.points import Point
from app.shared.sweeps.published import Published
from app.shared.sweeps.series import Series, Spot, opens, perplexity, spread
from core.records import Evaluated
from core.spec import METHOD_LABELS

BROKEN = 10.0  # times the dense perplexity
_BEYOND, _BELOW = "arrow-up", 0.15  # the mark of what lies above the axis, and by how much one is below another of the same place
_LOG_FROM = 1.5  # beyond this ratio a linear axis hides what happens near the dense model
_PAPER = "hollow: published"
Place = Callable[[Series, Spot], float]
Scale = Literal["auto", "linear", "log"]
SCALES: dict[Scale, str] = {"auto": "Auto axis", "linear": "Linear", "log": "Log"}


def edge_of(series: Sequence[Series], dense: Evaluated, also: Sequence[float] = ()) -> float:
    """End of the axis: infinity if nothing is broken, else ten times the dense perplexity."""
    values = [spot.value(perplexity) for one in series for spot in one.spots] + list(also)
    limit = BROKEN * dense.perplexity
    return limit if any(not value <= limit for value in values) else math.inf


def perplexity_axis(series: Sequence[Series], dense: Evaluated, edge: float, also: Sequence[float] = (), *,
                    scale: Scale = "auto") -> dict[str, Any]:
    """Linear around what is there, or logarithmic where a linear axis would hide what happens near the dense model; or as `scale` says."""
    values = [dense.perplexity, *(value for one in series for spot in one.spots for value in spot.range(perplexity)), *also]
    shown = [min(value, edge) for value in values if math.isfinite(min(value, edge)) and value > 0]
    low, high = min(shown), max(shown)
    if scale == "log" or (scale == "auto" and high > _LOG_FROM * low):
        axis = log_axis(low, high)
        bottom, top = axis["range"]
        return {**axis, "range": [bottom - 0.03 * (top - bottom), top]}  # room for the dense model's number below its line
    room = 0.1 * max(high - low, 0.01 * high)
    return {"type": "linear", "range": [low - room, high + room], "exponentformat": "none"}


def add_series(figure: go.Figure, series: Series, edge: float, *, place: Place, lines: bool = True, hollow: bool = False,
               measure: Callable[[Point], float] = perplexity, where: dict[str, Any] | None = None, legend: bool = True,
               mark: Mark | None = None) -> None:
    """Band, line and marks of one series; broken ones as arrows on the edge with their number. `mark`: by default its method's."""
    mark, at = mark or method_mark(series.method), where or {}
    common = {"legendgroup": series.label, "name": series.label, **at}
    if lines and any(len(spot.points) > 1 for spot in series.spots):
        ranges = [(place(series, spot), *spot.range(measure)) for spot in series.spots if math.isfinite(spot.range(measure)[1])]
        figure.add_trace(go.Scatter(
            x=[x for x, _, _ in ranges] + [x for x, _, _ in reversed(ranges)], fill="toself", mode="none", hoverinfo="skip",
            y=[min(high, edge) for _, _, high in ranges] + [min(low, edge) for _, low, _ in reversed(ranges)],
            fillcolor=_faint(mark.color), showlegend=False, **common))
    whole = [spot for spot in series.spots if spot.value(measure) <= edge and math.isfinite(spot.value(measure))]
    broken = [spot for spot in series.spots if spot not in whole]
    if lines and broken and whole:
        ends = [(place(series, spot), min(spot.value(measure), edge)) for spot in (*whole[-1:], *broken[:1])]
        figure.add_trace(go.Scatter(x=[x for x, _ in ends], y=[y for _, y in ends], mode="lines", hoverinfo="skip", opacity=0.5,
                                    showlegend=False, line={"color": mark.color, "width": 1.5, "dash": "dot"}, **common))
    figure.add_trace(go.Scatter(
        x=[place(series, spot) for spot in whole], y=[spot.value(measure) for spot in whole],
        mode="lines+markers" if lines else "markers", showlegend=legend,
        line={"color": mark.color, "width": 2, "dash": "dot" if hollow else mark.dash},
        marker={"symbol": mark.hollow if hollow else mark.symbol, "size": 9, "color": mark.color, "line": {"width": 2 if hollow else 0}},
        customdata=[opens(spot.middle(measure)) for spot in whole], text=[hover(spot) for spot in whole],
        hovertemplate="%{text}<extra></extra>", selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}}, **common))
    if broken:
        before: Any = figure["data"]
        there = [x for trace in before if trace["marker"]["symbol"] == _BEYOND for x in trace["x"]]  # each further one below those
        columns = [place(series, spot) for spot in broken]
        figure.add_trace(go.Scatter(
            x=columns, y=[edge * (1 - _BELOW * there.count(x)) for x in columns], mode="markers+text", showlegend=legend and not whole,
            marker={"symbol": _BEYOND, "size": 13, "color": mark.color}, cliponaxis=False, textposition="middle left",
            text=[f"{numbers.perplexity(spot.value(measure))} " for spot in broken], textfont={"size": 12},
            customdata=[opens(spot.middle(measure)) for spot in broken], hovertext=[hover(spot) for spot in broken],
            hovertemplate="%{hovertext}<extra></extra>", selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
            **common))


def add_dense(figure: go.Figure, dense: Evaluated, theme: Theme, *, log: bool) -> None:
    """The dense model, as a line across the first panel with its number. Annotations take the exponent on a logarithmic axis."""
    figure.add_shape(type="line", xref="x domain", yref="y", x0=0, x1=1, y0=dense.perplexity, y1=dense.perplexity, opacity=0.75,
                     line={"color": dense_mark(theme).color, "width": 1})
    figure.add_annotation(text=f"dense {numbers.perplexity(dense.perplexity)}", xref="x domain", yref="y", x=1, showarrow=False,
                          y=math.log10(dense.perplexity) if log else dense.perplexity, xanchor="right", yanchor="top",
                          font={"size": 12, "color": INKS[theme].text})


def add_published(figure: go.Figure, number: Published, x: float) -> None:
    """A number from a paper: hollow, and said to be one."""
    mark = method_mark(number.method)
    known = next(figure.select_traces({"name": _PAPER}), None) is not None
    alpha = f", α = {numbers.setting(number.pattern.outlier_rows)}" if number.pattern.outlier_rows else ""
    lines = [f"<b>published: {number.model}, {METHOD_LABELS[number.method]}, {number.table}{alpha}</b>",
             f"perplexity {numbers.perplexity(number.perplexity)} at {numbers.percent(number.sparsity)}", number.source,
             *textwrap.wrap(number.doubt, 60)]
    figure.add_trace(go.Scatter(
        x=[x], y=[number.perplexity], mode="markers", name=_PAPER, legendgroup="published", showlegend=not known,
        marker={"symbol": mark.hollow, "size": 13, "color": mark.color, "line": {"width": 2}}, text=["<br>".join(lines)],
        hovertemplate="%{text}<extra></extra>"))


def hover(spot: Spot) -> str:
    """All there is to know about a spot: the run, its numbers, their protocol."""
    point = spot.middle(perplexity)
    lines = [
        f"<b>{describe(point.spec)}</b>",
        f"perplexity {numbers.perplexity(spot.value(perplexity))} (dense {numbers.perplexity(point.dense.perplexity)}), {spread(spot)}",
        f"counted sparsity {numbers.percent(point.counted_sparsity)}", *worth_lines(point),
        f"layer error {numbers.error(point.median_error)}, {numbers.over_optimum(point.median_gap)} its optimum (medians)",
        f"solved in {numbers.seconds(point.solve_seconds)}, peak memory {numbers.size(point.peak_memory_bytes)}, {point.machine}",
        *textwrap.wrap(f"measured on {point.pruned.protocol}", 70), *textwrap.wrap(f"calibrated on {point.calibration}", 70),
        "click: open this run" if point.key else "shipped with PruneScope; click: its settings",
    ]
    return "<br>".join(lines)


def worth_lines(point: Point) -> list[str]:
    """Parameters that are really gone, and what was measured of size and speed."""
    found = [f"{numbers.count(point.removed)} of {numbers.count(point.parameters)} parameters are gone"] if point.removed else []
    worth = point.worth
    if worth is None:
        return found
    return [*found, f"folder {numbers.size(worth.folder_bytes)}; batch {worth.batch} on {worth.device}:",
            f"prefill {numbers.times(worth.prefill.median)} the dense model's ({numbers.times(worth.prefill.low)} to "
            f"{numbers.times(worth.prefill.high)}), {numbers.count(round(worth.prefill_rate))} tokens a second",
            f"decode {numbers.times(worth.decode.median)} ({numbers.times(worth.decode.low)} to {numbers.times(worth.decode.high)}), "
            f"{numbers.count(round(worth.decode_rate))} tokens a second"]


def _faint(color: str) -> str:
    red, green, blue = (int(color[at:at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
