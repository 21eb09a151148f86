"""Charts of perplexity against counted sparsity, against B, against α. Pure functions from series to Plotly.

A line goes through the medians over the seeds, a band spans least to greatest. What is ten times the dense perplexity and more is
broken: it is drawn on the upper edge with its number, so that it does not flatten the rest.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, Literal

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.findings.wording import describe
from app.shared.style import INKS, Theme, dense_mark, log_axis, method_mark, share_axis, template
from app.shared.sweeps.points import Point
from app.shared.sweeps.published import SOURCE, Published
from app.shared.sweeps.series import Series, Spot, opens, patterns_in_order, perplexity, spread
from core.records import Evaluated
from core.spec import METHOD_LABELS, RunSpec
from core.spec.patterns import SemiStructured, pattern_word

BROKEN = 10.0  # times the dense perplexity
_BEYOND, _BELOW = "arrow-up", 0.15  # the mark of what lies above the axis, and by how much one is below another of the same place
_LOG_FROM = 1.5  # beyond this ratio a linear axis hides what happens near the dense model
_DODGE = 0.6  # how much of a pattern's width its methods share
_PAPER = "hollow: published"
Place = Callable[[Series, Spot], float]
Scale = Literal["auto", "linear", "log"]
SCALES: dict[Scale, str] = {"auto": "Auto axis", "linear": "Linear", "log": "Log"}


def sparsity_curves(series: Sequence[Series], dense: Evaluated, *, theme: Theme = "light", published: Sequence[Published] = (),
                    height: int = 430, scale: Scale = "auto") -> go.Figure:
    """Perplexity against counted sparsity; n:m patterns stand side by side instead, for several have the same sparsity."""
    words = patterns_in_order(series)
    place = _dodged(series, words) if words else None
    figure = curves(series, dense, theme=theme, height=height, place=place, lines=not words, scale=scale,
                    also=[number.perplexity for number in published])
    for number in published:
        at = words.index(pattern_word(number.pattern)) if words and pattern_word(number.pattern) in words else number.sparsity
        add_published(figure, number, at)
    if words:
        share = {pattern_word(spot.points[0].spec.pattern): spot.points[0].counted_sparsity for one in series for spot in one.spots}
        figure.update_xaxes(title="n:m pattern, and the sparsity counted", tickvals=list(range(len(words))), range=[-0.6, len(words) - 0.4],
                            ticktext=[f"{word}<br>{numbers.percent(share[word])}" for word in words])
    else:
        figure.update_xaxes(title="counted sparsity of the pruned layers", **_shares([
            *(spot.x for one in series for spot in one.spots), *(number.sparsity for number in published)]))
    return figure


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


def curves(series: Sequence[Series], dense: Evaluated, *, theme: Theme, height: int, place: Place | None = None, lines: bool = True,
           also: Sequence[float] = (), scale: Scale = "auto") -> go.Figure:
    """Series with their bands, the dense model as a line, perplexity on y."""
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 12, "t": 40, "b": 8}})
    edge = edge_of(series, dense, also)
    for one in series:
        add_series(figure, one, edge, place=place or (lambda _, spot: spot.x), lines=lines)
    axis = perplexity_axis(series, dense, edge, also, scale=scale)
    add_dense(figure, dense, theme, log=axis["type"] == "log")
    figure.update_layout(legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "xanchor": "left"},
                         yaxis={"title": {"text": "perplexity"}, **axis})
    return figure


def add_choice(figure: go.Figure, spec: RunSpec, sparsity: float, perplexity: float, *, theme: Theme, label: str) -> None:
    """A ring around the present choice, in its method's colour. An n:m that no curve has yet has no place on the axis."""
    at: float = sparsity
    if isinstance(spec.pattern, SemiStructured):
        words = [text.partition("<br>")[0] for text in figure["layout"]["xaxis"]["ticktext"] or ()]
        if pattern_word(spec.pattern) not in words:
            return
        at = words.index(pattern_word(spec.pattern))
    mark = method_mark(spec.method.name)
    figure.add_trace(go.Scatter(
        x=[at], y=[perplexity], mode="markers", name=label, cliponaxis=False,
        marker={"symbol": "circle-open", "size": 17, "color": mark.color, "line": {"width": 3, "color": mark.color}},
        hovertemplate=f"<b>{label}</b><br>{describe(spec)}<br>perplexity {numbers.perplexity(perplexity)} at "
                      f"{numbers.percent(sparsity)}<extra></extra>"))
    figure.add_annotation(
        x=at, y=math.log10(perplexity) if figure["layout"]["yaxis"]["type"] == "log" else perplexity, text=numbers.perplexity(perplexity),
        showarrow=True, arrowhead=0, arrowwidth=1, arrowcolor=INKS[theme].faint, standoff=9, ax=-34, ay=-44,  # curves rise to the right
        bgcolor=INKS[theme].paper, font={"color": INKS[theme].text, "size": 13})


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
               measure: Callable[[Point], float] = perplexity, where: dict[str, Any] | None = None, legend: bool = True) -> None:
    """Band, line and marks of one series; broken ones as arrows on the edge with their number."""
    mark, at = method_mark(series.method), where or {}
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
    alpha = f", α = {number.pattern.outlier_rows:g}" if number.pattern.outlier_rows else ""
    lines = [f"<b>published: {number.model}, {METHOD_LABELS[number.method]}, {number.table}{alpha}</b>",
             f"perplexity {numbers.perplexity(number.perplexity)} at {numbers.percent(number.sparsity)}", SOURCE,
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
        f"counted sparsity {numbers.percent(point.counted_sparsity)}",
        f"layer error {numbers.error(point.median_error)}, {numbers.over_optimum(point.median_gap)} its optimum (medians)",
        f"solved in {numbers.seconds(point.solve_seconds)}, peak memory {numbers.size(point.peak_memory_bytes)}, {point.machine}",
        *textwrap.wrap(f"measured on {point.pruned.protocol}", 70), *textwrap.wrap(f"calibrated on {point.calibration}", 70),
        "click: open this run" if point.key else "shipped with PruneScope; click: its settings",
    ]
    return "<br>".join(lines)


def _shares(values: Sequence[float]) -> dict[str, Any]:
    """An axis of sparsities with room at both ends and round ticks."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    return share_axis(low - 0.03, high + 0.03)


def _dodged(series: Sequence[Series], words: Sequence[str]) -> Place:
    step = _DODGE / max(1, len(series) - 1)

    def place(one: Series, spot: Spot) -> float:
        return words.index(pattern_word(spot.points[0].spec.pattern)) + (list(series).index(one) * step - _DODGE / 2) * (len(series) > 1)

    return place


def _faint(color: str) -> str:
    red, green, blue = (int(color[at:at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
