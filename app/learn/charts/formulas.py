"""Three formulas for removing columns. Pure functions from answers to Plotly."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.learn.charts.matrix import bare, cells, matrix_axes, panel_title, removed, ring
from app.shared import numbers
from app.shared.charts.axes import log_axis
from app.shared.style import INKS, Theme
from core.records.lessons import Formulas

FORMULA_NAMES = {"none": "no update", "right": "right: inverse of a part of H⁻¹", "part": "slip 1: H<sub>SS</sub> for that inverse",
                 "hessian": "slip 2: H where H⁻¹ belongs"}


def formula_panels(found: Formulas, *, theme: Theme = "light", height: int = 420) -> go.Figure:
    """Change of the kept columns by each formula, and what it leaves in those that should be zero."""
    _, rows, columns = found.after.shape
    gone = np.broadcast_to(found.gone, (rows, columns))
    limit = 2 * float(np.abs(found.weight).max())
    traces: list[Any] = []
    layout: dict[str, Any] = {"annotations": [], "shapes": []}  # set once at the end: Plotly checks all of it each time
    for place, name in enumerate(("right", "part", "hessian")):
        axis = "" if place == 0 else str(place + 1)
        where: dict[str, Any] = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
        index = list(FORMULA_NAMES).index(name)
        left = float(found.left[index])
        if left < 1e-9:
            change = np.where(gone, np.nan, found.after[index] - found.weight)
            traces += [cells(change, theme, limit=limit, **where), removed(gone, theme, **where)]
        else:
            change = np.where(gone, found.after[index], found.after[index] - found.weight)
            traces.append(cells(change, theme, limit=limit, **where))
        x, y = matrix_axes(rows, columns)
        bottom, top = 1 - (place + 1) / 3 + 0.045, 1 - place / 3 - 0.055
        last = place == 2
        layout[f"xaxis{axis}"] = {**x, "anchor": f"y{axis}", "showticklabels": last, "title": {"text": "input j" if last else ""}}
        layout[f"yaxis{axis}"] = {**y, "anchor": f"x{axis}", "domain": [bottom, top], "showticklabels": False}
        if left >= 1e-9:
            layout["shapes"] += [ring(0, column, theme, xref=f"x{axis}", yref=f"y{axis}") | {"y1": rows - 0.5}
                                 for column in np.flatnonzero(found.gone).tolist()]
        broken = f"the columns are not gone, {numbers.share(left)} of their size is left" if left >= 1e-9 else "the columns are gone"
        layout["annotations"].append(panel_title(f"<b>{FORMULA_NAMES[name]}</b>: {broken}", 0, top, theme, size=13))
    return bare(theme, height, margin={"l": 8, "r": 8, "t": 26, "b": 8}, **layout).add_traces(traces)


def formula_losses(found: Formulas, *, theme: Theme = "light", height: int = 210) -> go.Figure:
    """The loss of each formula beside no update at all, on a logarithmic axis."""
    names = list(FORMULA_NAMES.values())
    losses = found.loss / found.energy
    colors = [INKS[theme].faint, "#009E73", "#D55E00", "#D55E00"]
    figure = bare(theme, height, margin={"l": 8, "r": 70, "t": 8, "b": 8})
    figure.add_trace(go.Scatter(x=losses, y=names, mode="markers+text", text=[numbers.times(loss / found.loss[1]) for loss in found.loss],
                                textposition="middle right", hovertext=[numbers.share(float(loss)) for loss in losses],
                                hovertemplate="%{y}: %{hovertext} of the output's energy<extra></extra>",
                                marker={"size": 13, "color": colors, "symbol": ["square", "triangle-up", "x", "x"]}, showlegend=False))
    figure.add_trace(go.Scatter(x=[losses[0]] * 2, y=[names[0], names[-1]], mode="lines", hoverinfo="skip", showlegend=False,
                                line={"color": INKS[theme].faint, "dash": "dot", "width": 1}))
    axis = log_axis(float(losses.min()), float(losses.max()))
    axis["range"] = [axis["range"][0], axis["range"][1] + 0.12 * (axis["range"][1] - axis["range"][0])]
    figure.update_layout(xaxis={"title": {"text": "loss ÷ tr(WHWᵀ), the columns set to 0; text: times the right one"}, "showgrid": True,
                                **axis},
                         yaxis={"autorange": "reversed", "showgrid": False})
    return figure
