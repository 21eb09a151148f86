"""The outlier-row effect on a small matrix: which rows decide what goes, and what keeping some changes. Pure functions to Plotly."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.learn.charts.matrix import bare, cells, matrix_axes, panel_title, removed
from app.shared import numbers
from app.shared.alpha_sweep import Reading
from app.shared.style import INKS, OUTLIER_ROWS, Theme
from core.records.lessons import StrongRow

_SIDES = (0.0, 0.54)  # where the two halves begin
_WIDE = 0.46


def strong_rows(found: StrongRow, count: int, *, theme: Theme = "light", height: int = 300) -> go.Figure:
    """Left all rows are pruned, right `count` stay dense. Above what is left of W; below v_j, the strong rows' part in the accent."""
    rows, columns = found.before.shape
    strong = found.shares >= np.sort(found.shares)[-max(count, len(found.strong))]
    traces: list[Any] = []
    layout: dict[str, Any] = {  # set once at the end: Plotly checks all of it each time
        "barmode": "stack", "margin": {"l": 8, "r": 8, "t": 26, "b": 8}, "annotations": [], "shapes": [],
        "legend": {"orientation": "h", "yanchor": "top", "y": 0.47, "x": 1, "xanchor": "right", "traceorder": "normal"}}
    x, y = matrix_axes(rows, columns)
    limit = float(np.median(np.abs(found.before).max(1)))
    for side, (at, title) in enumerate(zip((0, count), _titles(count), strict=True)):
        upper, lower = ("", "2") if side == 0 else ("3", "4")
        above: dict[str, Any] = {"xaxis": f"x{upper}", "yaxis": f"y{upper}"}
        below: dict[str, Any] = {"xaxis": f"x{lower}", "yaxis": f"y{lower}"}
        kept = found.kept[at]
        pruned = (found.weight[at] == 0) & (found.before != 0)
        top = float(found.parts[~kept].sum(0).max(initial=0.0))
        goes = np.flatnonzero(pruned.any(0))
        traces += [cells(found.weight[at], theme, limit=limit, hover=_hovers(found, at), **above), removed(pruned, theme, **above),
                   *_votes(found, kept, strong, theme, named=side == 0, **below),
                   go.Scatter(x=goes, y=np.full(goes.size, 0.06 * top), mode="markers", cliponaxis=False, hoverinfo="skip",
                              marker={"symbol": "x", "size": 10, "color": INKS[theme].text}, showlegend=False, **below)]
        layout["shapes"] += [{"type": "rect", "x0": -0.5, "x1": columns - 0.5, "y0": row - 0.5, "y1": row + 0.5, "xref": f"x{upper}",
                              "yref": f"y{upper}", "line": {"color": OUTLIER_ROWS, "width": 3}} for row in kept.nonzero()[0].tolist()]
        left = _SIDES[side]
        domain = [left, left + _WIDE]
        layout |= {
            f"xaxis{upper}": {**x, "domain": domain, "anchor": f"y{upper}", "showticklabels": False},
            f"yaxis{upper}": {**y, "domain": [0.53, 1], "anchor": f"x{upper}", "dtick": None, "tickvals": list(range(rows)),
                              "ticktext": [_row_name(found, row) for row in range(rows)], "tickfont": {"size": 12 if rows <= 7 else 10}},
            f"xaxis{lower}": {**x, "domain": domain, "anchor": f"y{lower}", "title": {"text": "input j; × goes"}},
            f"yaxis{lower}": {"domain": [0, 0.36], "anchor": f"x{lower}", "range": [0, 1.08 * (top or 1.0)], "nticks": 3,
                              "exponentformat": "power", "title": {"text": "v<sub>j</sub>"}}}
        layout["annotations"].append(panel_title(title, left, 1.0, theme))
    return bare(theme, height, **layout).add_traces(traces)


def _titles(count: int) -> tuple[str, str]:
    stay = f"{numbers.plural(count, 'row')} {'stays' if count == 1 else 'stay'} dense" if count else "Raise α to leave rows dense"
    return "No row dense; left: share of energy", stay


def _row_name(found: StrongRow, row: int) -> str:
    return f"{row}: {100 * found.shares[row]:.0f} %"


def _votes(found: StrongRow, kept: np.ndarray, strong: np.ndarray, theme: Theme, *, named: bool, **where: Any) -> list[go.Bar]:
    """The bars of v_j over the rows that are pruned, the strong rows' part in the accent."""
    bars: list[go.Bar] = []
    for chosen, color, name in ((~strong, INKS[theme].faint, "v<sub>j</sub> from the other rows"),
                                (strong, OUTLIER_ROWS, "from the strongest")):
        part = found.parts[chosen & ~kept].sum(0)
        bars.append(go.Bar(x=np.arange(len(part)), y=part, name=name, showlegend=named, marker={"color": color, "line": {"width": 0}},
                           text=[f"input {j}: {numbers.error(value)} {name}" for j, value in enumerate(part)], textposition="none",
                           hovertemplate="%{text}<extra></extra>", **where))
    return bars


def _hovers(found: StrongRow, at: int) -> np.ndarray:
    texts = np.empty(found.before.shape, dtype=object)
    for row, column in np.ndindex(texts.shape):
        before, now = float(found.before[row, column]), float(found.weight[at, row, column])
        what = "its row stays dense" if found.kept[at, row] else "removed" if now == 0 else f"becomes {numbers.signed(now)}"
        texts[row, column] = f"row {row}, input {column}: {numbers.signed(before)}, {what}"
    return texts


def row_choices(found: StrongRow, count: int, *, theme: Theme = "light", height: int = 205) -> go.Figure:
    """The error for every choice of `count` rows, the least first, the strongest in the accent; a line where none stays dense."""
    ink, choices = INKS[theme], found.choices[count]
    order = np.argsort(choices.error, kind="stable")
    figure = bare(theme, height, margin={"l": 8, "r": 8, "t": 26, "b": 8})
    places = np.arange(len(order)) + 1
    figure.add_trace(go.Scatter(
        x=places, y=choices.error[order], mode="markers", marker={"color": ink.faint, "size": 8}, showlegend=False,
        text=[f"{_names(choices.kept[one])}: error {numbers.error(float(choices.error[one]))}" for one in order],
        hovertemplate="%{text}<extra></extra>"))
    mine = (choices.kept[order] == found.kept[count]).all(1)
    figure.add_trace(go.Scatter(x=places[mine], y=choices.error[order][mine], mode="markers", hoverinfo="skip", showlegend=False,
                                marker={"color": OUTLIER_ROWS, "size": 13, "line": {"width": 1.5, "color": ink.text}}))
    figure.add_hline(y=found.error[0], line={"color": ink.text, "width": 1, "dash": "dot"})
    figure.add_annotation(x=0, xref="x domain", y=found.error[0], showarrow=False, xanchor="left", yanchor="bottom", text="no row dense",
                          font={"size": 12, "color": ink.text})
    title = f"Which {'row' if count == 1 else f'{count} rows'} to keep" if count else "Which rows to keep: raise α"
    figure.add_annotation(panel_title(title, 0, 1.0, theme))
    many = f"all {len(order)} choices" if choices.every else f"{len(order)} choices by lot"
    figure.update_xaxes(title={"text": f"{many}, the best first"}, range=[0.3, len(order) + 0.7], tickformat="d", nticks=8)
    figure.update_yaxes(title={"text": "error ÷ energy"}, rangemode="tozero", exponentformat="none", nticks=4)
    return figure


def _names(kept: np.ndarray) -> str:
    rows = np.flatnonzero(kept).tolist()
    return f"row{'' if len(rows) == 1 else 's'} {', '.join(map(str, rows))} dense" if rows else "no row dense"


def readings(found: StrongRow) -> list[Reading]:
    """The small matrix's errors over α, as the Outlier rows page draws them; random: all choices of as many rows, or a hundred."""
    rows = len(found.shares)
    told: list[Reading] = []
    for count, (error, sparsity, choices) in enumerate(zip(found.error, found.counted_sparsity, found.choices, strict=True)):
        told.append(Reading(kept="chosen", alpha=count / rows, value=error, counted_sparsity=sparsity, seed=0))
        told += [Reading(kept="random", alpha=count / rows, value=float(value), counted_sparsity=sparsity, seed=0, draw=draw)
                 for draw, value in enumerate(choices.error)]
    return told
