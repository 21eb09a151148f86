"""Many weights, step by step; and one mask with every block size. Pure functions from a recording to Plotly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.learn.charts.matrix import GONE_WORDS, PICKED, bare, cells, matrix_axes, panel_title, removed
from app.shared import numbers
from app.shared.charts.axes import share_axis
from app.shared.style import INKS, Theme, method_mark
from core.records.lessons import Recording, Stepped, label


def places(found: Stepped, focus: str, step: int) -> dict[str, int]:
    """At which of its states each method stands: the focused one at `step`, the others where they have removed about as many."""
    leader = next(one for one in found.recordings if one.method == focus)
    at = min(step, leader.last)
    count = leader.pruned[at].sum()
    others = {one.method: _nearest(one.pruned.sum((1, 2)), count) for one in found.recordings}
    return {**others, focus: at}


def _nearest(gone: np.ndarray, count: int) -> int:
    """The last state whose count of removed weights comes nearest; of two as near the one with fewer."""
    away = np.abs(gone - count)
    fewest = gone[int(np.argmin(away))]
    return int(np.flatnonzero(gone == fewest)[-1])


def step_panels(found: Stepped, at: dict[str, int], *, theme: Theme = "light", height: int = 520) -> go.Figure:
    """Each method's matrix: removed weights dark, how far the others have moved, and what can no longer move."""
    rows, columns = found.weight.shape
    limit = max(float(np.abs(np.where(one.pruned, 0, one.weight - found.weight)).max()) for one in found.recordings)
    count = len(found.recordings)
    traces: list[Any] = []
    layout: dict[str, Any] = {"annotations": []}  # set once at the end: Plotly checks all of it each time
    for place, one in enumerate(found.recordings):
        axis = "" if place == 0 else str(place + 1)
        where = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
        state = at[one.method]
        change = np.where(one.pruned[state], np.nan, one.weight[state] - found.weight)
        traces.append(cells(change, theme, limit=limit or 1.0, hover=_hovers(found, one, state), **where))
        traces.append(removed(one.pruned[state], theme, **where))
        fresh = one.pruned[state] & ~one.pruned[max(state - 1, 0)]
        marks = np.argwhere(fresh)
        traces.append(go.Scatter(x=marks[:, 1], y=marks[:, 0], mode="text", text=["×"] * len(marks), hoverinfo="skip", showlegend=False,
                                 textfont={"size": 17, "color": INKS[theme].paper}, **where))
        x, y = matrix_axes(rows, columns)
        top = 1 - place / count
        bottom = 1 - (place + 1) / count + 0.02
        last = place == count - 1
        layout[f"xaxis{axis}"] = {**x, "anchor": f"y{axis}", "showticklabels": last, "title": {"text": "input j" if last else ""}}
        layout[f"yaxis{axis}"] = {**y, "anchor": f"x{axis}", "domain": [max(bottom, 0.0), top - 0.055], "showticklabels": False}
        traces += _frozen(int(one.frozen[state]), rows, axis, theme)
        layout["annotations"].append(panel_title(_panel(found, one, state), 0, top - 0.055, theme, size=13))
    return bare(theme, height, margin={"l": 8, "r": 8, "t": 26, "b": 8}, **layout).add_traces(traces)


def loss_curves(found: Stepped, at: dict[str, int], *, theme: Theme = "light", height: int = 520) -> go.Figure:
    """The loss so far against how many weights are gone, with the least possible for the same mask, at the present step."""
    figure = bare(theme, height, margin={"l": 8, "r": 8, "t": 60, "b": 8})
    most = max(float(one.measured.max()) for one in found.recordings) / found.energy
    for one in found.recordings:
        mark, state = method_mark(one.method), at[one.method]
        gone = one.pruned.sum((1, 2))
        figure.add_trace(go.Scatter(
            x=gone, y=one.measured / found.energy, mode="lines", name=label(one.method),
            line={"color": mark.color, "dash": mark.dash, "width": 2},
            text=_losses(one.measured / found.energy), hovertemplate=f"{label(one.method)}, %{{x}} removed: %{{text}}<extra></extra>"))
        figure.add_trace(go.Scatter(
            x=[gone[state]] * 2, y=np.array([one.measured[state], one.optimum[state]]) / found.energy, mode="markers", showlegend=False,
            text=_losses(np.array([one.measured[state], one.optimum[state]]) / found.energy),
            marker={"symbol": [mark.symbol, mark.hollow], "size": 11, "color": mark.color, "line": {"width": 2, "color": mark.color}},
            hovertemplate="%{text}<extra></extra>"))
    figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name="hollow: best for the mask so far", hoverinfo="skip",
                                marker={"symbol": "circle-open", "size": 9, "color": INKS[theme].faint, "line": {"width": 1.5}}))
    figure.update_layout(xaxis={"title": {"text": "weights removed"}, "rangemode": "tozero"},
                         yaxis={"title": {"text": "loss ÷ tr(WHWᵀ)"}, **share_axis(0, 1.04 * most)},
                         legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "xanchor": "left"})
    return figure


def block_panel(found: Stepped, block: int, *, theme: Theme = "light", height: int = 215) -> go.Figure:
    """Change of the kept weights of the one mask by the update with this B; lines where blocks begin."""
    rows, columns = found.weight.shape
    change = np.where(found.mask, np.nan, found.blocks - found.weight)
    limit = float(np.nanmax(np.abs(change), initial=0.0))
    figure = bare(theme, height, margin={"l": 8, "r": 8, "t": 30, "b": 8})
    figure.add_trace(cells(change[block - 1], theme, limit=limit))
    figure.add_trace(removed(found.mask, theme))
    x, y = matrix_axes(rows, columns)
    title = f"B = {block}: how far the kept weights move; removed ones {GONE_WORDS[theme]}"
    figure.update_layout(
        xaxis={**x, "title": {"text": "input j"}}, yaxis={**y, "title": {"text": "row"}}, annotations=[panel_title(title, 0, 1.0, theme)],
        shapes=[{"type": "line", "x0": start - 0.5, "x1": start - 0.5, "y0": -0.5, "y1": rows - 0.5,
                 "line": {"color": PICKED[theme], "width": 1.5}} for start in range(block, columns, block)])
    return figure


def block_curve(found: Stepped, block: int, *, theme: Theme = "light", height: int = 265) -> go.Figure:
    """The loss of the update against B, between SparseGPT's update and the optimum, for one mask."""
    losses = found.block_loss / found.energy
    sizes = np.arange(1, len(losses) + 1)
    shown = [*map(float, losses), found.sweep_loss / found.energy, found.optimum / found.energy]
    room = 0.06 * max(max(shown) - min(shown), 1e-3 * max(shown))
    thanos, sparsegpt = method_mark("thanos"), method_mark("sparsegpt")
    figure = bare(theme, height, margin={"l": 8, "r": 8, "t": 44, "b": 8})
    figure.add_trace(go.Scatter(x=sizes, y=losses, mode="lines+markers", name="update in blocks of B",
                                line={"color": thanos.color, "width": 2}, marker={"symbol": thanos.symbol, "size": 7},
                                customdata=[[int(size)] for size in sizes],
                                text=_losses(losses), hovertemplate="B = %{x}: %{text}<extra></extra>"))
    figure.add_trace(go.Scatter(x=[block], y=[losses[block - 1]], mode="markers", hoverinfo="skip", showlegend=False,
                                marker={"size": 15, "symbol": "circle-open", "color": PICKED[theme], "line": {"width": 2.5}}))
    figure.add_trace(go.Scatter(x=[1], y=[found.sweep_loss / found.energy], mode="markers", name="SparseGPT's sweep",
                                marker={"symbol": sparsegpt.symbol, "size": 11, "color": sparsegpt.color},
                                text=_losses([found.sweep_loss / found.energy]),
                                hovertemplate="SparseGPT's sweep: %{text}<extra></extra>"))
    figure.add_trace(go.Scatter(x=[1, sizes[-1]], y=[found.optimum / found.energy] * 2, mode="lines", name="best possible for this mask",
                                line={"color": INKS[theme].faint, "dash": "dot", "width": 1.5}, hoverinfo="skip"))
    figure.update_layout(xaxis={"title": {"text": "block size B"}, "dtick": 1 if len(losses) <= 16 else 2},
                         yaxis={"title": {"text": "loss ÷ tr(WHWᵀ)"}, **share_axis(min(shown) - room, max(shown) + room, most=6)},
                         legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "xanchor": "left"})
    return figure


def _losses(shares: Iterable[float]) -> list[str]:
    """Losses as shares of the energy, for hover."""
    return [numbers.share(float(share)) for share in shares]


def _panel(found: Stepped, one: Recording, state: int) -> str:
    gone = int(one.pruned[state].sum())
    return (f"<b>{label(one.method)}</b> step {state} of {one.last}: {gone} removed, loss "
            f"{numbers.share(float(one.measured[state]) / found.energy)}")


def _frozen(count: int, rows: int, axis: str, theme: Theme) -> list[go.Scatter]:
    """A hatched veil over the columns that can no longer move."""
    ink = INKS[theme]
    return [go.Scatter(
        x=[-0.5, count - 0.5, count - 0.5, -0.5], y=[-0.5, -0.5, rows - 0.5, rows - 0.5], fill="toself", mode="lines", hoverinfo="skip",
        line={"color": ink.faint, "width": 2}, showlegend=False, xaxis=f"x{axis}", yaxis=f"y{axis}",
        fillpattern={"shape": "/", "size": 7, "solidity": 0.12, "fgcolor": ink.faint, "bgcolor": "rgba(0,0,0,0)"})] if count else []


def _hovers(found: Stepped, one: Recording, state: int) -> np.ndarray:
    texts = np.empty(found.weight.shape, dtype=object)
    for row, column in np.ndindex(found.weight.shape):
        before, now = float(found.weight[row, column]), float(one.weight[state, row, column])
        what = "removed" if one.pruned[state, row, column] else f"now {numbers.signed(now)}"
        frozen = ", can no longer move" if column < one.frozen[state] and not one.pruned[state, row, column] else ""
        texts[row, column] = f"row {row}, input {column}: was {numbers.signed(before)}, {what}{frozen}"
    return texts
