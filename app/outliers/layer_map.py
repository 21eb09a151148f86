"""Map of a model's layers, blocks × modules, whose cells can be pressed. Pure functions to Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.shared.charts.annotations import annotate
from app.shared.charts.axes import bare_axis
from app.shared.style import OUTLIER_ROWS, Theme, template

_WRITTEN = 12  # up to so many blocks there is room for numbers in the cells


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A layer with its value in percent, the text in its cell with that text's color, and what hovering says beside its name."""

    name: str
    block: int
    module: str
    value: float
    text: str
    ink: str
    hover: str


def layer_map(cells: Sequence[Cell], chosen: str, *, colors: Any, low: float, high: float, theme: Theme, height: int,
              scale: bool = True) -> go.Figure:
    """The cells from `low` to `high`, the chosen layer framed; points that cannot be seen take the clicks (a heatmap sends none).

    `scale`: with a bar of colors.
    """
    modules = list(dict.fromkeys(cell.module for cell in cells))
    blocks = sorted({cell.block for cell in cells})
    names = [module.rpartition(".")[2] for module in modules]
    labels = names if len(set(names)) == len(names) else modules
    label = dict(zip(modules, labels, strict=True))
    values = np.full((len(modules), len(blocks)), np.nan)
    for cell in cells:
        values[modules.index(cell.module), blocks.index(cell.block)] = cell.value
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 8, "t": 6, "b": 8}})
    figure.add_trace(go.Heatmap(
        z=values, x=blocks, y=labels, colorscale=colors, zmin=low, zmax=high, xgap=1, ygap=1, hoverinfo="skip", showscale=scale,
        colorbar={"title": {"text": "%"}, "thickness": 10, "outlinewidth": 0, "tickfont": {"size": 12}}))
    figure.add_trace(go.Scatter(
        x=[cell.block for cell in cells], y=[label[cell.module] for cell in cells], mode="markers",
        marker={"size": 26, "symbol": "square", "opacity": 0}, customdata=[cell.name for cell in cells], showlegend=False,
        text=[f"<b>{cell.name}</b><br>{cell.hover}<br>click: this layer" for cell in cells],
        hovertemplate="%{text}<extra></extra>", selected={"marker": {"opacity": 0}}, unselected={"marker": {"opacity": 0}}))
    annotate(figure, [{"x": cell.block, "y": label[cell.module], "text": cell.text, "showarrow": False,
                       "font": {"size": 12, "color": cell.ink}} for cell in (cells if len(blocks) <= _WRITTEN else ())])
    here = next((cell for cell in cells if cell.name == chosen), None)
    if here is not None:
        across, up = blocks.index(here.block), modules.index(here.module)
        figure.add_shape(type="rect", x0=blocks[across] - 0.5, x1=blocks[across] + 0.5, y0=up - 0.5, y1=up + 0.5,
                         line={"color": OUTLIER_ROWS, "width": 3})
    figure.update_xaxes(title="decoder block", dtick=1 if len(blocks) <= 16 else None, **bare_axis(), range=[
        blocks[0] - 0.5, blocks[-1] + 0.5])
    figure.update_yaxes(autorange="reversed", type="category", **bare_axis())
    return figure
