"""One weight: what its removal costs, and what moves. Pure functions from answers to Plotly."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.learn.charts.matrix import PICKED, bare, cells, matrix_axes, panel_title, pressable, removed, ring
from app.shared import numbers
from app.shared.style import INKS, Mark, Theme, method_mark
from core.records.lessons import OneWeight

DIAGONAL = Mark(color="#009E73", symbol="diamond")  # OBD; no method's
SCORES = {"diagonal": "diagonal only, w²·H<sub>qq</sub> (OBD)", "magnitude": "magnitude, |w|"}


def one_weight_matrix(found: OneWeight, row: int, column: int, *, theme: Theme = "light", height: int = 290) -> go.Figure:
    """W, the chosen weight removed; below it, what its row's other weights do about it."""
    rows, columns = found.weight.shape
    gone = np.zeros(found.weight.shape, dtype=bool)
    gone[row, column] = True
    change = found.change[row, column].copy()
    change[column] = np.nan
    split = 0.9 / (rows + 2.6)
    figure = bare(theme, height)
    figure.add_trace(cells(found.weight, theme))
    figure.add_trace(removed(gone, theme))
    figure.add_trace(pressable(rows, columns, _weight_hovers(found)))
    after = found.weight[row] + found.change[row, column]
    strip = np.array([[f"input {j}: {numbers.signed(found.weight[row, j])} becomes {numbers.signed(after[j])}" for j in range(columns)]],
                     dtype=object)
    figure.add_trace(cells(change[None], theme, hover=strip, xaxis="x2", yaxis="y2"))
    figure.add_trace(removed(gone[row : row + 1], theme, xaxis="x2", yaxis="y2"))
    x, y = matrix_axes(rows, columns)
    _, one = matrix_axes(1, columns)
    moved = np.nanmax(np.abs(change))
    figure.update_layout(
        xaxis={**x, "side": "bottom"}, yaxis={**y, "domain": [split + 0.2, 1], "title": {"text": "row"}},
        xaxis2={**x, "anchor": "y2", "title": {"text": "input j"}}, yaxis2={**one, "domain": [0, split], "anchor": "x2", "tickvals": [0],
                                                                          "ticktext": [str(row)]},
        shapes=[ring(row, column, theme)],
        annotations=[panel_title("The weights W, blue above 0, red below. Press one to remove it", 0, 1.0, theme),
                     panel_title(f"What the others of row {row} do: Δ, at most {numbers.error(moved)}", 0, split, theme)])
    return figure


def rank_agreement(found: OneWeight, row: int, column: int, *, theme: Theme = "light", height: int = 205) -> go.Figure:
    """The order in which all weights would go: by their true loss against two simpler scores."""
    figure = bare(theme, height, margin={"l": 8, "r": 8, "t": 30, "b": 8})
    truth = order(found.loss)
    count = truth.size
    for place, (name, values, mark) in enumerate((("diagonal", found.diagonal, DIAGONAL),
                                                  ("magnitude", np.abs(found.weight), method_mark("magnitude")))):
        axis = "" if place == 0 else "2"
        score = order(values)
        figure.add_trace(go.Scatter(x=[1, count], y=[1, count], mode="lines", line={"color": INKS[theme].faint, "width": 1, "dash": "dot"},
                                    hoverinfo="skip", showlegend=False, xaxis=f"x{axis}", yaxis=f"y{axis}"))
        places = [(i, j) for i in range(truth.shape[0]) for j in range(truth.shape[1])]
        figure.add_trace(go.Scatter(
            x=[truth[at] for at in places], y=[score[at] for at in places], mode="markers", showlegend=False, xaxis=f"x{axis}",
            yaxis=f"y{axis}", marker={"size": 6, "color": mark.color, "symbol": mark.symbol, "opacity": 0.75},
            customdata=[list(at) for at in places], name=name,
            text=[f"row {i}, input {j}: {truth[i, j]} of {count} by loss, {score[i, j]} by {name}" for i, j in places],
            hovertemplate="%{text}<extra></extra>"))
        figure.add_trace(go.Scatter(
            x=[truth[row, column]], y=[score[row, column]], mode="markers", hoverinfo="skip", showlegend=False, xaxis=f"x{axis}",
            yaxis=f"y{axis}", marker={"size": 13, "symbol": "circle-open", "color": PICKED[theme], "line": {"width": 2.5}}))
        figure.add_annotation(panel_title(f"{SCORES[name]}: agreement {numbers.index(found.agreement[name])}", 0.56 * place, 1.0, theme))
    figure.update_layout(xaxis={"domain": [0, 0.44], "title": {"text": "place in the order by loss"}},
                         yaxis={"title": {"text": "place by the score"}},
                         xaxis2={"domain": [0.56, 1], "anchor": "y2", "title": {"text": "place in the order by loss"}},
                         yaxis2={"anchor": "x2"})
    return figure


def _weight_hovers(found: OneWeight) -> NDArray[np.object_]:
    texts = np.empty(found.weight.shape, dtype=object)
    for row, column in np.ndindex(found.weight.shape):
        weight, loss, alone = (float(values[row, column]) for values in (found.weight, found.loss, found.diagonal))
        texts[row, column] = (f"row {row}, input {column}: w = {numbers.signed(weight)}<br>loss {numbers.error(loss)}, "
                              f"{numbers.error(alone)} if nothing moves")
    return texts


def order(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places from 1 for the smallest; ties by row and column."""
    flat = values.ravel()
    places = np.empty(flat.size, dtype=np.int64)
    places[np.argsort(flat, kind="stable")] = np.arange(1, flat.size + 1)
    return places.reshape(values.shape)
