"""The outlier-row effect on a small matrix: its rows' energy, and what is left of it. Pure functions from answers to Plotly."""

from __future__ import annotations

import plotly.graph_objects as go

from app.alpha_sweep import Reading
from app.figures import numbers
from app.figures.lessons import bare, cells, matrix_axes, panel_title, removed
from app.figures.style import INKS, OUTLIER_ROWS, Theme
from core.lessons.matrix import StrongRow
from core.outlier_records import LayerPoint


def strong_rows(found: StrongRow, count: int, *, theme: Theme = "light", height: int = 240) -> go.Figure:
    """The matrix after its columns are gone, `count` rows dense in the accent; beside it each row's share of the energy."""
    rows, columns = found.before.shape
    count = min(count, len(found.error) - 1)
    after, kept = found.weight[count], found.kept[count]
    figure = bare(theme, height, margin={"l": 8, "r": 8, "t": 30, "b": 8})
    figure.add_trace(cells(after, theme, limit=float(abs(found.before).max())))
    figure.add_trace(removed((after == 0) & (found.before != 0), theme))
    figure.add_trace(go.Bar(
        x=found.shares, y=list(range(rows)), orientation="h", xaxis="x2", yaxis="y", showlegend=False,
        marker={"color": [OUTLIER_ROWS if one else INKS[theme].faint for one in kept]},
        text=[numbers.percent(share) for share in found.shares], textposition="outside", cliponaxis=False,
        hovertemplate="row %{y}: %{x:.1%} of the energy<extra></extra>"))
    x, y = matrix_axes(rows, columns)
    figure.update_layout(
        xaxis={**x, "domain": [0, 0.6], "title": {"text": "input j; grey: removed"}}, yaxis={**y, "title": {"text": "row"}},
        xaxis2={"domain": [0.66, 1], "anchor": "y", "tickformat": ".0%", "range": [0, 1.25 * float(found.shares.max())],
                "title": {"text": "h<sub>i</sub> ÷ Σh"}},
        shapes=[{"type": "rect", "x0": -0.5, "x1": columns - 0.5, "y0": row - 0.5, "y1": row + 0.5,
                 "line": {"color": OUTLIER_ROWS, "width": 3}} for row in kept.nonzero()[0].tolist()],
        annotations=[panel_title(f"After removal, {numbers.plural(int(kept.sum()), 'row')} dense", 0, 1.0, theme),
                     panel_title("Share of the output's energy", 0.66, 1.0, theme)])
    return figure


def small_readings(found: StrongRow) -> list[Reading]:
    """The small matrix's errors, as the Outlier rows page draws them."""
    rows = len(found.shares)
    readings: list[Reading] = []
    for count, (error, sparsity, by_lot) in enumerate(zip(found.error, found.counted_sparsity, found.random, strict=True)):
        readings.append(Reading(kept="chosen", alpha=count / rows, value=error, counted_sparsity=sparsity, seed=0))
        readings += [Reading(kept="random", alpha=count / rows, value=value, counted_sparsity=sparsity, seed=0, draw=draw)
                     for draw, value in enumerate(by_lot or (error,))]
    return readings


def layer_readings(points: tuple[LayerPoint, ...]) -> list[Reading]:
    """A whole layer's errors, likewise."""
    readings: list[Reading] = []
    for point in points:
        common = {"alpha": point.alpha, "counted_sparsity": point.counted_sparsity, "seed": 0}
        readings.append(Reading(kept="chosen", value=point.error, **common))
        readings += [Reading(kept="random", value=value, draw=draw, **common) for draw, value in enumerate(point.random or (point.error,))]
    return readings
