"""Charts of outlier rows: the map of all layers, one layer's rows by energy, its columns by loss. Pure functions to Plotly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from app.outliers.layer_map import Cell, layer_map
from app.shared import numbers
from app.shared.charts.axes import log_axis, share_axis
from app.shared.style import CIVIDIS, INKS, OUTLIER_ROWS, Theme, readable, template
from core.records.modules import kind_of, together
from core.records.outlier_rows import EnergyShare, LayerRows

LEFT = 62  # pixels left of the axis of rows: the slider below begins where the axis does
RIGHT = 14


def energy_map(shares: Sequence[EnergyShare], chosen: str, *, theme: Theme = "light", height: int = 260) -> go.Figure:
    """Blocks × modules, the share of energy in the strongest rows."""
    cells = [(max(mine, key=lambda item: item.share), {item.name for item in mine}) for mine in together(shares).values()]
    chosen = next((most.name for most, names in cells if chosen in names), chosen)
    shares = [most for most, _ in cells]  # experts of a block share a cell: the one of most
    low, high = (found(item.share for item in shares) for found in (min, max))
    return layer_map(
        [Cell(name=item.name, block=item.block, module=kind_of(item.module), value=100 * item.share, text=f"{100 * item.share:.0f}",
              ink=readable(CIVIDIS, (item.share - low) / (high - low) if high > low else 0.0),
              hover=f"{numbers.count(item.count)} of {numbers.plural(item.rows, 'row')} hold {numbers.percent(item.share)} of the layer's "
              "energy")
         for item in shares], chosen, colors=CIVIDIS, low=100 * low, high=max(100 * high, 100 * low + 1), theme=theme, height=height)


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
