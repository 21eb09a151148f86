"""Inside one layer: which rows and columns carry the error, the weights before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.layers.questions import Array, Bins, Parts, Weights
from app.shared import numbers
from app.shared.style import INKS, MAGNITUDES, OUTLIER_ROWS, Theme, template

ENDS_AT = 99.5  # percentile where the colors of weights end: one outlier would flatten all others
_BLUE, _RED = {"light": "#2166AC", "dark": "#6FB1DE"}, {"light": "#B2182B", "dark": "#F08A6C"}


def error_parts(parts: Parts, *, ordered: bool = False, color: str = "#CC79A7", theme: Theme = "light", height: int = 330) -> go.Figure:
    """Shares of the layer's error by output row (left) and input column (right), in place or greatest first."""
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.09,
                           subplot_titles=("By output row", "By input column"))
    figure.update_layout(template=template(theme), height=height, margin={"l": 8, "r": 8, "t": 44, "b": 8}, showlegend=True,
                         legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.08, "yanchor": "bottom"})
    for place, (values, noun) in enumerate(((parts.rows, "output row"), (parts.columns, "input column")), 1):
        order = np.argsort(-values, kind="stable") if ordered else np.arange(len(values))
        figure.add_trace(go.Scatter(
            x=np.arange(len(values)), y=100 * values[order], mode="lines", line={"shape": "hvh", "width": 1, "color": color},
            fill="tozeroy", showlegend=False, customdata=order, text=[numbers.signed(100 * share) for share in values[order].tolist()],
            hovertemplate=noun + " %{customdata}: %{text} % of the error<extra></extra>"), row=1, col=place)
        title = f"{noun}s, greatest share first" if ordered else noun
        figure.update_xaxes(title={"text": title}, range=[-0.5, max(0.5, len(values) - 0.5)], row=1, col=place)
        figure.update_yaxes(ticksuffix=" %", rangemode="tozero", row=1, col=place)
        if place == 1 and len(parts.dense_rows):
            _mark_outliers(figure, order, parts.dense_rows)
    figure.update_yaxes(title={"text": "share of the layer's error"}, row=1, col=1)
    _align_titles(figure)
    return figure


def _mark_outliers(figure: go.Figure, order: Array, dense_rows: Array) -> None:
    places = np.flatnonzero(np.isin(order, dense_rows))
    figure.add_trace(go.Scatter(
        x=places, y=np.zeros(len(places)), mode="markers", name="outlier rows, kept dense", cliponaxis=False, customdata=order[places],
        marker={"symbol": "line-ns", "size": 12, "line": {"width": 2, "color": OUTLIER_ROWS}, "color": OUTLIER_ROWS},
        hovertemplate="output row %{customdata}: an outlier row, kept dense<extra></extra>"), row=1, col=1)


def weight_maps(weights: Weights, *, theme: Theme = "light", height: int = 360) -> go.Figure:
    """|W| before and after on one scale, and the change about 0; each at most 256 cells either way."""
    high, wide = weights.cell
    behind = "" if high == wide == 1 else f"mean of {high} × {wide}"
    extreme = "" if high == wide == 1 else f"largest of {high} × {wide}"
    figure = make_subplots(rows=1, cols=3, horizontal_spacing=0.07, shared_yaxes=True, subplot_titles=tuple(
        f"{name}{f', {note}' if note else ''}" for name, note in (("|w| before", behind), ("|w| after", behind), ("change", extreme))))
    figure.update_layout(
        template=template(theme), height=height, margin={"l": 8, "r": 8, "t": 40, "b": 8},
        coloraxis={"colorscale": MAGNITUDES[theme], "cmin": 0, "cmax": _end(weights.before, weights.after),
                   "colorbar": {"thickness": 8, "outlinewidth": 0, "x": 0.635, "len": 0.9, "title": {"text": ""}}},
        coloraxis2={"colorscale": [[0, _BLUE[theme]], [0.5, INKS[theme].paper], [1, _RED[theme]]], "cmin": -_end(weights.change),
                    "cmax": _end(weights.change), "colorbar": {"thickness": 8, "outlinewidth": 0, "x": 1.0, "len": 0.9}})
    cells_of = ((weights.before, "coloraxis"), (weights.after, "coloraxis"), (weights.change, "coloraxis2"))
    for place, (cells, scale) in enumerate(cells_of, 1):
        figure.add_trace(go.Heatmap(
            z=cells, x0=(wide - 1) / 2, dx=wide, y0=(high - 1) / 2, dy=high, coloraxis=scale,
            hovertemplate="row %{y:.0f}, column %{x:.0f}: %{z:.4g}<extra></extra>"), row=1, col=place)
        figure.update_xaxes(title={"text": "input column"}, showgrid=False, range=[-0.5, weights.shape[1] - 0.5], row=1, col=place)
        figure.update_yaxes(showgrid=False, range=[weights.shape[0] - 0.5, -0.5], row=1, col=place)
    figure.update_yaxes(title={"text": "output row"}, row=1, col=1)
    for axis, end in (("xaxis", 0.27), ("xaxis2", 0.62), ("xaxis3", 0.985)):
        figure.layout[axis].domain = [end - 0.27 if axis != "xaxis3" else end - 0.265, end]
    _align_titles(figure)
    return figure


def weight_histogram(bins: Bins, *, color: str = "#CC79A7", theme: Theme = "light", height: int = 330) -> go.Figure:
    """Histogram of the weights: those that stay, before and after, and those that go."""
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 8, "t": 40, "b": 8}})
    centers = (bins.edges[:-1] + bins.edges[1:]) / 2
    ink = INKS[theme]
    series: Sequence[tuple[str, Array, dict[str, object], str | None]] = (
        ("removed, before", bins.removed_before, {"color": ink.faint, "width": 1}, "tozeroy"),
        ("kept, before", bins.kept_before, {"color": ink.text, "width": 1.5, "dash": "dot"}, None),
        ("kept, after", bins.kept_after, {"color": color, "width": 2}, None))
    for name, counts, line, fill in series:
        figure.add_trace(go.Scatter(x=centers, y=counts, mode="lines", name=name, line={"shape": "hvh", **line}, fill=fill,
                                    hovertemplate=f"{name}: %{{y}} weights about %{{x:.4g}}<extra></extra>"))
    figure.update_layout(
        title={"text": "How large the weights are that stay and that go", "y": 1, "yref": "container", "yanchor": "top",
               "pad": {"t": 6, "l": 2}},
        xaxis={"title": {"text": "weight"}}, yaxis={"title": {"text": "weights in a bin"}, "rangemode": "tozero", "exponentformat": "none"},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom"})
    return figure


def _end(*cells: Array) -> float:
    return float(np.percentile(np.abs(np.concatenate([part.ravel() for part in cells])), ENDS_AT)) or 1.0


def _align_titles(figure: go.Figure) -> None:
    """Subplot titles on the left of their plots, as other charts have theirs."""
    drawn: Any = figure["layout"]
    for place, note in enumerate(drawn["annotations"], 1):
        note.update(x=drawn[f"xaxis{'' if place == 1 else place}"]["domain"][0], xanchor="left", font={"size": 14}, yshift=4)
