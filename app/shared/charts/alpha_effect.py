"""Charts over α: error and perplexity beside their controls. Pure functions from readings to Plotly."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.alpha_sweep import Kept, Reading, Spot, curve
from app.shared.charts.axes import at_edge, edge_marks, log_axis, main_part, share_axis
from app.shared.style import INKS, OUTLIER_ROWS, Theme, template

_LOG_FROM = 4.0  # beyond this ratio a linear axis would show only the worst point
Show = Callable[[float], str]


def alpha_effect(readings: Sequence[Reading], alpha: float, *, title: str, show: Show, labels: tuple[str, str], protocol: str = "",
                 change: bool = False, waiting: str = "", runs: Sequence[Reading] = (), theme: Theme = "light",
                 height: int = 290) -> go.Figure:
    """Value against α: the strongest rows kept, as many random ones with their band, and the other budget; a level line at α = 0.

    `labels` name the chosen curve and the other budget's. `change`: in percent of each seed's own value at α = 0.
    `waiting`: stands where the curves will be while there is no point yet. `runs`: of finished runs, drawn as diamonds.
    """
    ink = INKS[theme]
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 12, "t": 40, "b": 8}})
    random = curve(readings, "random", change=change)
    written = _percent if change else show
    if any(spot.readings > 1 for spot in random):
        _band(figure, random, ink.faint, "random rows")
    chosen = curve(readings, "chosen", change=change)
    if any(spot.readings > 1 for spot in chosen):
        _band(figure, chosen, OUTLIER_ROWS, "strongest rows")
    lines: tuple[tuple[Kept, str, str, str, str], ...] = (
        ("random", "as many random rows", ink.faint, "dash", "x"), ("other", labels[1], ink.text, "dot", "circle-open"),
        ("chosen", labels[0], OUTLIER_ROWS, "solid", "circle"))
    values = [value for kept, *_ in lines for shown in (readings, runs) for spot in curve(shown, kept, change=change)
              for value in (spot.low, spot.high)]
    ends = (-math.inf, math.inf) if change or not any(0 < value < math.inf for value in values) else main_part(values)
    first = next((kept for kept, *_ in reversed(lines) if curve(runs, kept, change=change)), None)
    for kept, label, color, dash, symbol in lines:
        spots = curve(readings, kept, change=change)
        if spots:
            figure.add_trace(go.Scatter(
                x=[spot.alpha for spot in spots], y=[at_edge(spot.mean, *ends) for spot in spots], name=label, mode="lines+markers",
                line={"color": color, "width": 2, "dash": dash},
                marker={"color": color, "symbol": edge_marks([spot.mean for spot in spots], *ends, symbol), "size": 8,
                        "line": {"width": 2 if "open" in symbol else 0}},
                text=[_hover(label, spot, written, protocol) for spot in spots], hovertemplate="%{text}<extra></extra>"))
        _runs(figure, curve(runs, kept, change=change), label, color, written, ink.text, named=kept == first)
    if chosen:
        figure.add_hline(y=chosen[0].mean, line={"color": ink.text, "width": 1, "dash": "dot"}, opacity=0.5)
    if waiting and not chosen:
        figure.add_annotation(text=waiting, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False,
                              font={"size": 13, "color": ink.faint})
        figure.update_yaxes(showticklabels=False, showgrid=False, ticks="")
    if alpha:
        figure.add_vline(x=alpha, line={"color": ink.text, "width": 1}, opacity=0.4)
    figure.update_layout(
        xaxis={"title": {"text": "α: share of the rows left dense"}, "tickformat": ".3~g",
               "range": [-0.012, max([0.3, *(reading.alpha for reading in readings)]) + 0.012]},
        yaxis={"title": {"text": f"{title},<br>change from α = 0" if change else title},
               **_axis([at_edge(one, *ends) for one in values], change)},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "xanchor": "left", "traceorder": "reversed"}, showlegend=True)
    return figure


def reading_rows(readings: Sequence[Reading], names: dict[Kept, str], what: str) -> list[dict[str, object]]:
    """Every reading, for a file to take away."""
    return [{"rows_kept": names[reading.kept], "alpha": reading.alpha, what: reading.value, "counted_sparsity": reading.counted_sparsity,
             "seed": reading.seed, "draw": reading.draw} for reading in sorted(readings, key=lambda one: (one.kept, one.seed, one.alpha))]


def _runs(figure: go.Figure, spots: Sequence[Spot], label: str, color: str, show: Show, ink: str, *,
          named: bool) -> None:
    """Finished runs of a curve as diamonds; `named`: with an entry in the legend, which one curve has for all."""
    if not spots:
        return
    figure.add_trace(go.Scatter(
        x=[spot.alpha for spot in spots], y=[spot.mean for spot in spots], mode="markers", name="finished runs", legendgroup="runs",
        showlegend=named, hovertemplate="%{text}<extra></extra>",
        marker={"symbol": "diamond", "size": 10, "color": color, "line": {"color": ink, "width": 1}},
        text=[_hover(f"finished {'run' if spot.readings == 1 else 'runs'}, {label}", spot, show, "") for spot in spots]))


def _band(figure: go.Figure, spots: Sequence[Spot], color: str, name: str) -> None:
    figure.add_trace(go.Scatter(
        x=[spot.alpha for spot in spots] + [spot.alpha for spot in reversed(spots)], y=[spot.high for spot in spots] + [
            spot.low for spot in reversed(spots)], fill="toself", mode="none", hoverinfo="skip", showlegend=False, opacity=0.2,
        fillcolor=color, name=name))


def _hover(label: str, spot: Spot, show: Show, protocol: str) -> str:
    lines = [f"<b>{label}</b>", f"α = {numbers.setting(spot.alpha, 3)}: {show(spot.mean)}",
             f"counted sparsity {numbers.percent(spot.counted_sparsity)}"]
    if spot.readings > 1:
        lines.insert(2, f"mean of {spot.readings}: {show(spot.low)} to {show(spot.high)}")
    return "<br>".join([*lines, *([protocol] if protocol else [])])


def _axis(values: Sequence[float], change: bool) -> dict[str, object]:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return {}
    low, high = min(finite), max(finite)
    if not change and low > 0 and high > _LOG_FROM * low:
        return log_axis(low, high)
    room = 0.08 * max(high - low, 1e-3 if change else 0.01 * high)
    if change:
        return {"type": "linear", **share_axis(low - room, high + room, most=6, change=True)}
    return {"type": "linear", "range": [low - room, high + room], "exponentformat": "none", "nticks": 6}


def _percent(change: float) -> str:
    return numbers.change(change, numbers.fine_percent)
