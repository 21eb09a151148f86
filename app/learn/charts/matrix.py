"""Shared parts of the lessons' figures: a small matrix as cells that can be pressed, colors around zero, and the size for a projector."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.shared.style import INKS, Theme, around_zero, template

GONE: dict[Theme, str] = {"light": "#3A444C", "dark": "#C9C6BC"}  # a removed weight
GONE_WORDS: dict[Theme, str] = {"light": "dark gray", "dark": "light gray"}  # and the words for its color
KEPT: dict[Theme, str] = {"light": "#DAD6CA", "dark": "#3A4249"}
PICKED: dict[Theme, str] = {"light": "#000000", "dark": "#FFFFFF"}


def bare(theme: Theme, height: int, **layout: Any) -> go.Figure:
    """An empty figure in the house's template."""
    return go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 8, "t": 40, "b": 8}, **layout})


def cells(values: NDArray[np.float64], theme: Theme, *, limit: float | None = None, hover: NDArray[np.object_] | None = None,
          **more: Any) -> go.Heatmap:
    """A matrix in colors around zero, equal on both sides; NaN stays empty."""
    most = float(np.nanmax(np.abs(values), initial=0.0)) if limit is None else limit
    return go.Heatmap(z=values, zmin=-(most or 1.0), zmax=most or 1.0, colorscale=around_zero(theme), showscale=False, xgap=1, ygap=1,
                      customdata=hover, hovertemplate="%{customdata}<extra></extra>" if hover is not None else None, **more)


def removed(pruned: NDArray[np.bool_], theme: Theme, **more: Any) -> go.Heatmap:
    """The removed weights of a mask, in one dark color over whatever is below."""
    color = GONE[theme]
    return go.Heatmap(z=np.where(pruned, 1.0, np.nan), zmin=0, zmax=1, colorscale=[[0, color], [1, color]], showscale=False, xgap=1, ygap=1,
                      hoverinfo="skip", **more)


def pressable(rows: int, columns: int, hover: NDArray[np.object_], **more: Any) -> go.Scatter:
    """Invisible marks over the cells, which report a press as [row, column]. They also carry what hovering says."""
    places = [(row, column) for row in range(rows) for column in range(columns)]
    return go.Scatter(x=[column for _, column in places], y=[row for row, _ in places], mode="markers", showlegend=False,
                      customdata=[[row, column] for row, column in places], text=[hover[place] for place in places],
                      hovertemplate="%{text}<extra></extra>", marker={"size": 26, "symbol": "square", "opacity": 0}, **more)


def ring(row: float, column: float, theme: Theme, **more: Any) -> dict[str, Any]:
    """The outline of one cell, as a shape."""
    return {"type": "rect", "x0": column - 0.5, "x1": column + 0.5, "y0": row - 0.5, "y1": row + 0.5,
            "line": {"color": PICKED[theme], "width": 2.5}, **more}


def matrix_axes(rows: int, columns: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Axes of a matrix: inputs to the right, rows downward, every index a tick where there is room."""
    common = {"showgrid": False, "zeroline": False, "showline": False, "ticks": "", "fixedrange": True}
    return ({**common, "range": [-0.5, columns - 0.5], "dtick": 1 if columns <= 16 else 2, "tick0": 0},
            {**common, "range": [rows - 0.5, -0.5], "dtick": 1 if rows <= 8 else 2, "tick0": 0})


def panel_title(text: str, x: float, y: float, theme: Theme, *, size: int = 14) -> dict[str, Any]:
    """The title of a panel, above its upper left corner."""
    return {"text": text, "x": x, "y": y, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom", "showarrow": False,
            "font": {"size": size, "color": INKS[theme].text}, "align": "left"}


def enlarged(figure: go.Figure, factor: float = 1.45) -> go.Figure:
    """The same figure for a projector: larger letters and marks."""
    size = lambda font, usual: factor * ((font.size if font is not None else None) or usual)  # noqa: E731
    figure.update_layout(font={"size": 13 * factor}, legend={"font": {"size": 13 * factor}})
    figure.update_xaxes(tickfont={"size": 13 * factor}, title={"font": {"size": 13 * factor}})
    figure.update_yaxes(tickfont={"size": 13 * factor}, title={"font": {"size": 13 * factor}})
    notes: Any = figure["layout"]["annotations"]
    for note in notes:
        note.font.size = size(note.font, 13)
    return figure
