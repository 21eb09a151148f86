"""Charts of outlier rows: the map of all layers, one layer's rows by energy, its columns by loss. Pure functions to Plotly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from app.shared import numbers
from app.shared.charts.annotations import annotate
from app.shared.charts.axes import bare_axis, log_axis, share_axis
from app.shared.style import CIVIDIS, INKS, OUTLIER_ROWS, Theme, readable, template
from core.records.outlier_rows import EnergyShare, LayerRows

LEFT = 62  # pixels left of the axis of rows: the slider below begins where the axis does
RIGHT = 14
_WRITTEN = 12  # up to so many blocks there is room for numbers in the cells


def energy_map(shares: Sequence[EnergyShare], chosen: str, *, theme: Theme = "light", height: int = 260) -> go.Figure:
    """Blocks × modules, the share of energy in the strongest rows; points that cannot be seen take the clicks (a heatmap sends none)."""
    modules = list(dict.fromkeys(item.module for item in shares))
    blocks = sorted({item.block for item in shares})
    names = [module.rpartition(".")[2] for module in modules]
    labels = names if len(set(names)) == len(names) else modules
    values = np.full((len(modules), len(blocks)), np.nan)
    for item in shares:
        values[modules.index(item.module), blocks.index(item.block)] = item.share
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 8, "t": 6, "b": 8}})
    figure.add_trace(go.Heatmap(
        z=100 * values, x=blocks, y=labels, colorscale=CIVIDIS, zmin=100 * low, zmax=max(100 * high, 100 * low + 1),
        xgap=1, ygap=1, hoverinfo="skip", colorbar={"title": {"text": "%"}, "thickness": 10, "outlinewidth": 0, "tickfont": {"size": 12}}))
    figure.add_trace(go.Scatter(
        x=[item.block for item in shares], y=[labels[modules.index(item.module)] for item in shares], mode="markers",
        marker={"size": 26, "symbol": "square", "opacity": 0}, customdata=[item.name for item in shares], showlegend=False,
        text=[f"<b>{item.name}</b><br>{numbers.count(item.count)} of {numbers.plural(item.rows, 'row')} hold "
              f"{numbers.percent(item.share)} of the layer's energy<br>click: this layer" for item in shares],
        hovertemplate="%{text}<extra></extra>", selected={"marker": {"opacity": 0}}, unselected={"marker": {"opacity": 0}}))
    annotate(figure, [
        {"x": item.block, "y": labels[modules.index(item.module)], "text": f"{100 * item.share:.0f}", "showarrow": False,
         "font": {"size": 12, "color": readable(CIVIDIS, (item.share - low) / (high - low) if high > low else 0.0)}}
        for item in (shares if len(blocks) <= _WRITTEN else ())])
    here = next((item for item in shares if item.name == chosen), None)
    if here is not None:
        across, up = blocks.index(here.block), modules.index(here.module)
        figure.add_shape(type="rect", x0=blocks[across] - 0.5, x1=blocks[across] + 0.5, y0=up - 0.5, y1=up + 0.5,
                         line={"color": OUTLIER_ROWS, "width": 3})
    figure.update_xaxes(title="decoder block", dtick=1 if len(blocks) <= 16 else None, **bare_axis(), range=[
        blocks[0] - 0.5, blocks[-1] + 0.5])
    figure.update_yaxes(autorange="reversed", type="category", **bare_axis())
    return figure


def sorted_rows(view: LayerRows, *, theme: Theme = "light", height: int = 260) -> go.Figure:
    """Rows by energy, the most first, as shares of the layer's; those that stay dense in the accent, a line at ⌈αc⌉.

    `customdata` of a bar: how many rows would stay with it as the last."""
    rows, count = view.shape[0], len(view.dense_rows)
    ink = INKS[theme]
    figure = go.Figure(layout={"template": template(theme), "height": height, "bargap": 0,
                               "margin": {"l": LEFT, "r": RIGHT, "t": 26, "b": 4}})
    kept = view.ranks < count
    for chosen, color, name in ((kept, OUTLIER_ROWS, f"stay dense: {count}"), (~kept, ink.faint, f"pruned: {rows - count}")):
        if not chosen.any():
            continue
        figure.add_trace(go.Bar(
            x=view.ranks[chosen] + 0.5, y=view.shares[chosen], marker={"color": color, "line": {"width": 0}}, name=name,
            opacity=1 if chosen is kept else 0.55, width=_widths(view.ranks, rows)[chosen],
            text=[f"row {row}: rank {rank + 1} of {rows}<br>{numbers.percent(share)} of the layer's energy<br>"
                  f"{numbers.percent(total)} with all stronger rows"
                  for row, rank, share, total in zip(view.rows[chosen], view.ranks[chosen], view.shares[chosen], view.cumulative[chosen],
                                                     strict=True)],
            hovertemplate="%{text}<extra></extra>", textposition="none", customdata=view.ranks[chosen] + 1,
            selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}}))
    figure.add_vline(x=count, line={"color": ink.text, "width": 1.5})
    right = count > 0.6 * rows
    figure.add_annotation(x=count, y=1, xref="x", yref="paper", showarrow=False, yanchor="top", xanchor="right" if right else "left",
                          text=f" {_cut(view, count)} ", font={"size": 13, "color": ink.text})
    figure.add_hline(y=1 / rows, line={"color": ink.text, "width": 1, "dash": "dot"}, opacity=0.6)
    figure.add_annotation(x=rows, y=1 / rows, showarrow=False, xanchor="right", yanchor="bottom", text="an equal share",
                          font={"size": 12, "color": ink.text})
    figure.update_xaxes(range=[0, rows], title="", tickformat="d")
    figure.update_yaxes(title="share of the energy", automargin=False, **share_axis(0.0, 1.06 * float(view.shares.max()), most=5))
    figure.update_layout(legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "xanchor": "left"}, clickmode="event+select",
                         dragmode=False, hovermode="x", hoverdistance=1)  # weak rows are too low to be met: all above and below them counts
    return figure


def column_losses(view: LayerRows, *, theme: Theme = "light", height: int = 300) -> go.Figure:
    """Columns by v_j over the pruned rows, the least first: those that go, and in the accent those whose fate the kept rows decide."""
    fates = view.columns
    assert fates is not None
    ink, order = INKS[theme], np.argsort(fates.losses, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": LEFT, "r": RIGHT, "t": 34, "b": 8}})
    moved = fates.gone != fates.gone_without
    groups = ((fates.gone & ~moved, ink.text, "x", "go"), (~fates.gone & ~moved, ink.faint, "circle", "stay"),
              (fates.gone & moved, OUTLIER_ROWS, "x", "go only with outlier rows"),
              (~fates.gone & moved, OUTLIER_ROWS, "circle", "stay only with outlier rows"))
    for chosen, color, symbol, name in groups:
        if not chosen.any():
            continue
        at = np.flatnonzero(chosen)
        figure.add_trace(go.Scatter(
            x=place[at] + 1, y=100 * fates.losses[at], mode="markers", name=f"{name}: {len(at)}",
            marker={"color": color, "symbol": symbol, "size": 6, "opacity": 0.9},
            text=[f"column {j}<br>v<sub>j</sub> is {numbers.share(fates.losses[j])} of all" for j in at],
            hovertemplate="%{text}<extra></extra>"))
    gone = int(fates.gone.sum())
    figure.add_vline(x=gone + 0.5, line={"color": ink.text, "width": 1.5})
    low, high = float(100 * fates.losses.min()), float(100 * fates.losses.max())
    axis = log_axis(low, high) if 0 < 5 * low < high else {"rangemode": "tozero"}  # a dead input's column has no loss
    figure.update_xaxes(title="columns by v<sub>j</sub>, the least first", range=[0, len(order) + 1])
    figure.update_layout(yaxis={"title": {"text": "v<sub>j</sub>, % of all"}, "automargin": False, "exponentformat": "none", **axis})
    figure.update_layout(legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "xanchor": "left"})
    return figure


def row_rows(view: LayerRows) -> list[dict[str, object]]:
    """The rows of a layer, for a file to take away."""
    dense = set(view.dense_rows)
    return [{"rank": int(rank) + 1, "row": int(row), "energy_share": float(share), "cumulative": float(total), "dense": int(row) in dense}
            for rank, row, share, total in zip(view.ranks, view.rows, view.shares, view.cumulative, strict=True)]


def share_rows(shares: Sequence[EnergyShare]) -> list[dict[str, object]]:
    """The map, for a file to take away."""
    return [{"layer": item.name, "block": item.block, "module": item.module, "rows": item.rows, "strongest": item.count,
             "energy_share": item.share} for item in shares]


def column_rows(view: LayerRows) -> list[dict[str, object]]:
    """The columns of a layer, for a file to take away."""
    fates = view.columns
    return [] if fates is None else [
        {"column": j, "loss_share": float(loss), "goes": bool(goes), "goes_without_outlier_rows": bool(before)}
        for j, (loss, goes, before) in enumerate(zip(fates.losses, fates.gone, fates.gone_without, strict=True))]


def _cut(view: LayerRows, count: int) -> str:
    return f"{numbers.count(count)} stay: {numbers.percent(view.held)} of the energy" if count else "no row stays dense"


def _widths(ranks: np.ndarray, rows: int) -> np.ndarray:
    """Widths of the bars where only some rows are shown: each reaches to the next."""
    return np.diff(ranks, append=rows)
