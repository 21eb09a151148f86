"""Charts of masks: the whole mask as densities with its margins, a window of it weight by weight; one mask, or two against each other.

Two grays for kept and removed, the accent for outlier rows, two colors for what only one of two masks removes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.masks.questions import WINDOW, Array, Mask, Pair, Window
from app.shared import numbers
from app.shared.charts.axes import bare_axis
from app.shared.style import INKS, KEPT, ONLY_A, ONLY_B, OUTLIER_ROWS, REMOVED, Theme, template

_LEVELS = 8  # of each color where two are mixed
_WORDS = ("kept", "removed", "kept: an outlier row", "removed only by A", "removed only by B")
_PAIR_WORDS = ("kept", "removed by both", "kept: an outlier row of A", "removed only by A", "removed only by B")
_FRAME = {"light": "#0B3049", "dark": "#E6F3F7"}


def mask_overview(mask: Mask, start: tuple[int, int], *, theme: Theme = "light", height: int = 470) -> go.Figure:
    """Density of removed weights, the share of each row on the right and of each column above; a frame where the loupe is."""
    shape = (len(mask.rows), len(mask.columns))
    figure = _overview(shape, "share removed", theme, height)
    figure.add_trace(go.Heatmap(z=mask.density, zmin=0, zmax=100, colorscale=[[0, KEPT[theme]], [1, REMOVED[theme]]], showscale=False,
                                hoverinfo="skip", **_places(mask.density, shape)), row=2, col=1)
    _add_margins(figure, ((mask.rows, mask.columns, REMOVED[theme], "removed"),))
    _add_outliers(figure, mask.dense_rows, shape, height)
    _add_points(figure, shape, mask.points.shape, [f"{value} % removed" for value in mask.points.ravel().tolist()])
    return _framed(figure, shape, start, theme)


def pair_overview(pair: Pair, start: tuple[int, int], *, theme: Theme = "light", height: int = 470) -> go.Figure:
    """Differences of two masks: the share of each cell that only A removes, and that only B removes, as a mixture of two colors."""
    shape = (len(pair.rows_a), len(pair.columns_a))
    figure = _overview(shape, "share that only one removes", theme, height)
    full = max(1, int(max(pair.only_a.max(initial=0), pair.only_b.max(initial=0))))
    levels = [np.ceil(cells.astype(float) * (_LEVELS - 1) / full).astype(np.uint8) for cells in (pair.only_a, pair.only_b)]
    count = _LEVELS**2
    scale: list[tuple[float, str]] = []
    for index in range(count):
        color = _mixed(KEPT[theme], (index // _LEVELS) / (_LEVELS - 1), (index % _LEVELS) / (_LEVELS - 1))
        scale += [(index / count, color), ((index + 1) / count, color)]
    figure.add_trace(go.Heatmap(z=_LEVELS * levels[0] + levels[1], zmin=-0.5, zmax=count - 0.5, colorscale=scale, showscale=False,
                                hoverinfo="skip", **_places(pair.only_a, shape)), row=2, col=1)
    _add_margins(figure, ((pair.rows_a, pair.columns_a, ONLY_A, "only A"), (pair.rows_b, pair.columns_b, ONLY_B, "only B")))
    words = [f"{a} % only A, {b} % only B" for a, b in zip(pair.points_a.ravel().tolist(), pair.points_b.ravel().tolist(), strict=True)]
    _add_points(figure, shape, pair.points_a.shape, words)
    _add_outliers(figure, pair.dense_rows, shape, height)
    return _framed(figure, shape, start, theme)


def loupe(window: Window, *, group: int | None = None, columns: int = 0, pair: bool = False, theme: Theme = "light",
          height: int = 470) -> go.Figure:
    """The window weight by weight. `group`: m of an n:m pattern, whose groups are then divided by lines, as far as they are whole in the
    layer's `columns`."""
    high, wide = window.kinds.shape
    colors = (KEPT[theme], REMOVED[theme], OUTLIER_ROWS, ONLY_A, ONLY_B)
    scale = [step for kind, color in enumerate(colors) for step in ((kind / 5, color), ((kind + 1) / 5, color))]
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 8, "t": 70, "b": 8}})
    named = _PAIR_WORDS if pair else _WORDS
    words = [[f"{named[kind]}<br>{numbers.signed(old)} → {numbers.signed(new)}" for kind, old, new in zip(*line, strict=True)] for line in
             zip(window.kinds.tolist(), window.before.tolist(), window.after.tolist(), strict=True)]
    figure.add_trace(go.Heatmap(
        z=window.kinds, zmin=-0.5, zmax=4.5, colorscale=scale, showscale=False, x0=window.column, dx=1, y0=window.row, dy=1, text=words,
        xgap=0.6, ygap=0.6, hovertemplate="row %{y}, column %{x}: %{text}<extra></extra>"))
    if group and group > 1:
        _add_groups(figure, window, group, columns, theme)
    for name, color in _legend(window, colors, pair=pair):
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=name, marker={"symbol": "square", "size": 11, "color": color},
                                    hoverinfo="skip"))
    quiet = {**bare_axis(), "constrain": "domain", "tickformat": "d"}
    figure.update_layout(
        title={"text": "In the frame, weight by weight", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 6, "l": 2}},
        dragmode=False, legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "xanchor": "left"},
        xaxis={"title": {"text": "input column"}, "range": [window.column - 0.5, window.column + wide - 0.5], **quiet},
        yaxis={"title": {"text": "output row"}, "range": [window.row + high - 0.5, window.row - 0.5], "scaleanchor": "x",
               "constraintoward": "top", **quiet})
    return figure


def window_rows(window: Window, *, pair: bool = False) -> list[dict[str, object]]:
    """The window weight by weight, for a file to take away."""
    named = _PAIR_WORDS if pair else _WORDS
    return [{"row": window.row + i, "column": window.column + j, "fate": named[kind], "before": old, "after": new}
            for i, line in enumerate(zip(window.kinds.tolist(), window.before.tolist(), window.after.tolist(), strict=True))
            for j, (kind, old, new) in enumerate(zip(*line, strict=True))]


def _legend(window: Window, colors: Sequence[str], *, pair: bool) -> list[tuple[str, str]]:
    names = ("kept", "removed by both", "outlier row of A", "only by A", "only by B") if pair else _WORDS
    shown = {0, 1, 3, 4} if pair else {0, 1}
    return [(names[kind], colors[kind]) for kind in range(5) if kind in shown or bool((window.kinds == kind).any())]


def _add_groups(figure: go.Figure, window: Window, group: int, columns: int, theme: Theme) -> None:
    """A line between whole groups: a last group of fewer than m inputs is left dense and has none."""
    high, wide = window.kinds.shape
    last = min(window.column + wide, columns - columns % group)
    edges = [edge for edge in range(0, last + 1, group) if window.column <= edge]
    figure.add_trace(go.Scatter(
        x=[x for edge in edges for x in (edge - 0.5, edge - 0.5, None)],
        y=[y for _ in edges for y in (window.row - 0.5, window.row + high - 0.5, None)], mode="lines", hoverinfo="skip", showlegend=False,
        line={"color": INKS[theme].text, "width": 1}, opacity=0.75))


def _overview(shape: tuple[int, int], share: str, theme: Theme, height: int) -> go.Figure:
    figure = make_subplots(rows=2, cols=2, row_heights=[0.16, 0.84], column_widths=[0.84, 0.16], horizontal_spacing=0.02,
                           vertical_spacing=0.02, shared_xaxes=True, shared_yaxes=True)
    figure.update_layout(
        template=template(theme), height=height, margin={"l": 8, "r": 8, "t": 40, "b": 8}, showlegend=False, clickmode="event+select",
        dragmode=False, hoverdistance=60,
        title={"text": f"The whole mask; in the margins the {share}", "y": 1, "yref": "container", "yanchor": "top",
               "pad": {"t": 6, "l": 2}})
    figure.update_xaxes(showgrid=False, range=[-0.5, shape[1] - 0.5], col=1)
    figure.update_yaxes(showgrid=False, range=[shape[0] - 0.5, -0.5], row=2)
    figure.update_xaxes(title={"text": "input column"}, tickformat="d", row=2, col=1)
    figure.update_yaxes(title={"text": "output row"}, tickformat="d", row=2, col=1)
    return figure


def _add_margins(figure: go.Figure, lines: Sequence[tuple[Array, Array, str, str]]) -> None:
    for rows, columns, color, name in lines:
        style: dict[str, Any] = {"mode": "lines", "line": {"color": color, "width": 1.2}}
        figure.add_trace(go.Scatter(x=np.arange(len(columns)), y=100 * columns, hovertemplate=f"column %{{x}}: %{{y:.1f}} % {name}"
                                    "<extra></extra>", **style), row=1, col=1)
        figure.add_trace(go.Scatter(x=100 * rows, y=np.arange(len(rows)), hovertemplate=f"row %{{y}}: %{{x:.1f}} % {name}<extra></extra>",
                                    **style), row=2, col=2)
    most = 100 * max((float(share.max(initial=0.0)) for row, column, *_ in lines for share in (row, column)), default=0.0)
    step = next(step for step in (1, 2, 5, 10, 20, 25, 50, 100) if 2 * step > most or step == 100)
    scale = {"range": [0, max(1.08 * most, 1.08 * step)], "tickvals": [step], "ticktext": [f"{step} %"], "showgrid": True}  # 0 is the edge
    figure.update_yaxes(**scale, row=1, col=1)
    figure.update_xaxes(**scale, tickangle=0, row=2, col=2)


def _add_outliers(figure: go.Figure, dense_rows: Array, shape: tuple[int, int], height: int) -> None:
    """The rows kept dense, across the whole matrix, at least a pixel high."""
    if len(dense_rows):
        figure.add_trace(go.Scatter(
            x=[x for _ in dense_rows for x in (-0.5, shape[1] - 0.5, None)], y=[y for row in dense_rows.tolist() for y in (row, row, None)],
            mode="lines", hoverinfo="skip", line={"color": OUTLIER_ROWS, "width": max(1.0, 0.7 * height / shape[0])}), row=2, col=1)


def _add_points(figure: go.Figure, shape: tuple[int, int], points: tuple[int, ...], words: Sequence[str]) -> None:
    """Points that nobody sees, at most 64 either way: a press moves the loupe there. `customdata`: the row and column in the middle."""
    high, wide = (-(-size // count) for size, count in zip(shape, points, strict=True))
    places = [(min(high * i + (high - 1) // 2, shape[0] - 1), min(wide * j + (wide - 1) // 2, shape[1] - 1))
              for i in range(points[0]) for j in range(points[1])]
    spans = [f"rows {high * i} to {min(high * (i + 1), shape[0]) - 1}, columns {wide * j} to {min(wide * (j + 1), shape[1]) - 1}: "
             for i in range(points[0]) for j in range(points[1])]
    figure.add_trace(go.Scatter(
        x=[column for _, column in places], y=[row for row, _ in places], mode="markers", customdata=[list(place) for place in places],
        text=[span + word for span, word in zip(spans, words, strict=True)], hovertemplate="%{text}<extra></extra>",
        marker={"size": 6, "opacity": 0}, selected={"marker": {"opacity": 0}}, unselected={"marker": {"opacity": 0}}), row=2, col=1)


def _framed(figure: go.Figure, shape: tuple[int, int], start: tuple[int, int], theme: Theme) -> go.Figure:
    high, wide = (min(WINDOW, size) for size in shape)
    row, column = (max(0, min(at, size - span)) for at, size, span in zip(start, shape, (high, wide), strict=True))
    figure.add_shape(type="rect", x0=column - 0.5, x1=column + wide - 0.5, y0=row - 0.5, y1=row + high - 0.5,
                     line={"color": _FRAME[theme], "width": 2.5}, row=2, col=1)
    return figure


def _places(cells: Array, shape: tuple[int, int]) -> dict[str, float]:
    """Positions of the cells of a reduced matrix, in rows and columns of the whole."""
    high, wide = (-(-size // count) for size, count in zip(shape, cells.shape, strict=True))
    return {"x0": (wide - 1) / 2, "dx": wide, "y0": (high - 1) / 2, "dy": high}


def _mixed(ground: str, a: float, b: float) -> str:
    """The ground, tinted with so much of A's color and of B's."""
    whole = max(1.0, a + b)
    parts = ((ground, max(0.0, 1 - a - b)), (ONLY_A, a / whole), (ONLY_B, b / whole))
    mixture = [sum(int(color[at : at + 2], 16) * share for color, share in parts) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(value):02X}" for value in mixture)
