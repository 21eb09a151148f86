"""Mask or update: the loss of each method in parts, every mask, every update. Pure functions from answers to Plotly."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from app.learn.charts.matrix import GONE, GONE_WORDS, KEPT, PICKED, bare, matrix_axes
from app.shared import numbers
from app.shared.charts.axes import log_axis, share_axis
from app.shared.style import INKS, Theme, method_mark
from core.records.lessons import COMPARED, REPAIRS, Masks, label
from core.spec.updates import UPDATES

# What no mask avoids, what is the mask's, what is the update's.
PARTS = {"light": ("#B9B4A6", "#D55E00", "#0072B2"), "dark": ("#5C6570", "#E58A4E", "#5AA9DA")}
BEST = "best of all"


def mask_names() -> list[str]:
    """The rows of the figure."""
    return [*(label(name) for name in COMPARED), BEST]


def shares(found: Masks) -> np.ndarray:
    """Each method's loss in three parts [7, 3], over tr(wHwᵀ): no mask avoids it, its mask's, its update's."""
    least = found.every[found.rank]
    floor = np.full_like(least, found.every[0])
    return np.stack([floor, least - found.every[0], np.maximum(found.own - least, 0)], 1) / found.energy


def mask_bars(found: Masks, chosen: int, *, theme: Theme = "light", height: int = 300) -> go.Figure:
    """Each method's mask, and its loss in three parts."""
    names, columns = mask_names(), len(found.weight)
    figure = bare(theme, height, margin={"l": 8, "r": 8, "t": 44, "b": 8}, barmode="stack")
    figure.add_trace(go.Heatmap(z=np.where(found.pruned, 1.0, 0.0), zmin=0, zmax=1, showscale=False, xgap=1, ygap=2, hoverinfo="skip",
                                colorscale=[[0, KEPT[theme]], [1, GONE[theme]]]))
    words = ("unavoidable", "due to the mask", "due to the update")
    for part, word, color in zip(shares(found).T, words, PARTS[theme], strict=True):
        figure.add_trace(go.Bar(x=part, y=list(range(len(names))), orientation="h", name=word, marker={"color": color}, xaxis="x2",
                                yaxis="y", customdata=[[place] for place in range(len(names))],
                                text=[numbers.share(float(share)) for share in part], textposition="none",
                                hovertemplate=f"%{{text}} of the row's energy: {word}<extra></extra>"))
    x, y = matrix_axes(len(names), columns)
    figure.update_layout(
        xaxis={**x, "domain": [0, 0.36], "title": {"text": f"{GONE_WORDS[theme]}: removed"}, "tickangle": 0, "dtick": 2},
        yaxis={**y, "tickvals": list(range(len(names))), "ticktext": [f"{name} " for name in names], "dtick": None},
        xaxis2={"domain": [0.4, 1], "anchor": "y", "title": {"text": "loss ÷ wHwᵀ, its own update"},
                **share_axis(0, 1.05 * float(shares(found).sum(1).max()), most=6), "showgrid": True},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 1, "xanchor": "right", "traceorder": "normal"},
        shapes=[{"type": "rect", "xref": "paper", "x0": 0, "x1": 0.36, "y0": chosen - 0.5, "y1": chosen + 0.5,
                 "line": {"color": PICKED[theme], "width": 2}}])
    return figure


def all_masks(found: Masks, *, theme: Theme = "light", height: int = 280) -> go.Figure:
    """The least loss of every mask of this size, sorted, and where the methods' masks are."""
    figure = bare(theme, height, margin={"l": 8, "r": 8, "t": 30, "b": 8})
    losses = np.maximum(found.every / found.energy, 1e-12)
    figure.add_trace(go.Scatter(x=np.arange(1, len(losses) + 1), y=losses, mode="lines", line={"color": INKS[theme].faint, "width": 2},
                                showlegend=False, text=[numbers.share(float(loss)) for loss in losses],
                                hovertemplate="mask number %{x}: %{text}<extra></extra>"))
    for name, rank in zip(COMPARED, found.rank, strict=False):
        mark = method_mark(name)
        figure.add_trace(go.Scatter(x=[rank + 1], y=[losses[rank]], mode="markers", name=label(name),
                                    marker={"color": mark.color, "symbol": mark.symbol, "size": 12},
                                    hovertemplate=f"{label(name)}: number {rank + 1}, {numbers.share(float(losses[rank]))}<extra></extra>"))
    figure.update_layout(xaxis={"title": {"text": f"all {numbers.count(len(losses))} masks, best first"}},
                         yaxis={"title": {"text": "least loss ÷ wHwᵀ"}, **log_axis(float(losses[0]), float(losses[-1]))},
                         legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "xanchor": "left"})
    return figure


def repairs(found: Masks, chosen: int, *, theme: Theme = "light", height: int = 280) -> go.Figure:
    """Every mask with every update: the loss over the best for that mask."""
    least = found.every[found.rank][:, None]
    ratio = np.divide(found.repaired, least, out=np.ones_like(found.repaired), where=least > 0)
    paper, ink = INKS[theme].paper, PARTS[theme][2]
    names = [UPDATES[how].replace(" ", "<br>") for how in REPAIRS]
    figure = bare(theme, height, margin={"l": 8, "r": 8, "t": 44, "b": 8})
    figure.add_trace(go.Heatmap(z=np.log(ratio), zmin=0, zmax=max(1.9 * float(np.log(ratio).max()), 0.2), showscale=False, xgap=2, ygap=2,
                                colorscale=[[0, paper], [1, ink]], text=[[numbers.times(value) for value in row] for row in ratio],
                                texttemplate="%{text}", textfont={"size": 13, "color": INKS[theme].text}, hoverinfo="skip"))
    rows = len(mask_names())
    x, y = matrix_axes(rows, len(names))
    figure.update_layout(
        xaxis={**x, "tickvals": list(range(len(names))), "ticktext": names, "side": "top", "dtick": None, "tickangle": 0},
        yaxis={**y, "tickvals": list(range(rows)), "ticktext": [f"mask: {name} " for name in mask_names()], "dtick": None},
        shapes=[{"type": "rect", "x0": -0.5, "x1": len(names) - 0.5, "y0": chosen - 0.5, "y1": chosen + 0.5,
                 "line": {"color": PICKED[theme], "width": 2}}])
    return figure
