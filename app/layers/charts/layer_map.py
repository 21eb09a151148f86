"""Map of the layers' errors: one cell a layer, decoder blocks on x, modules on y."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import plotly.graph_objects as go

from app.shared import numbers
from app.shared.charts.annotations import annotate
from app.shared.charts.axes import bare_axis, log_axis, main_part, share_axis
from app.shared.charts.layer_errors import hover_of, short_modules
from app.shared.style import INKS, MAGNITUDES, Theme, readable, template
from core.records import LayerRecord
from core.records.modules import kind_of, together

Measure = Literal["error", "gap", "sparsity"]
_TEXT_UP_TO = 14  # blocks: beyond, numbers do not fit into the cells
_LOG_FROM = 5.0


@dataclass(frozen=True, kw_only=True)
class _Kind:
    title: str
    log: bool


MEASURES: dict[Measure, str] = {"error": "Error", "gap": "Error ÷ best", "sparsity": "Sparsity"}
_KINDS: dict[Measure, _Kind] = {
    "error": _Kind(title="Relative error of each layer's output", log=True),
    "gap": _Kind(title="Error of each layer over the best possible for its mask", log=True),
    "sparsity": _Kind(title="Counted sparsity of each layer", log=False),
}


def layer_map(layers: Sequence[LayerRecord], *, measure: Measure = "error", chosen: str = "", calibration: str = "",
              theme: Theme = "light", height: int = 380) -> go.Figure:
    """A cell for each layer, the chosen one framed. Points that nobody sees carry the names: a press opens the layer.

    A block's experts share a cell: their median, and a press opens the one of most.
    """
    cells_of = together(layers)
    modules = list(dict.fromkeys(kind for kind, _ in cells_of))
    blocks = sorted({layer.block for layer in layers})
    cells = np.full((len(modules), len(blocks)), np.nan)
    for (kind, block), mine in cells_of.items():
        cells[modules.index(kind), blocks.index(block)] = _median(mine, measure)
    few = len(blocks) <= _TEXT_UP_TO
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 8, "t": 36, "b": 8}})
    figure.add_trace(_heatmap(cells, blocks, measure, few=few, theme=theme))
    if few:
        _write(figure, cells, blocks, measure, theme)
    figure.add_trace(go.Scatter(
        x=[block for _, block in cells_of], y=[modules.index(kind) for kind, _ in cells_of], mode="markers",
        customdata=[_most(mine, measure).name for mine in cells_of.values()],
        text=[_hover(mine, measure, calibration) for mine in cells_of.values()],
        hovertemplate="%{text}<extra></extra>", showlegend=False, marker={"size": 24 if few else 9, "symbol": "square", "opacity": 0},
        selected={"marker": {"opacity": 0}}, unselected={"marker": {"opacity": 0}}))
    for layer in layers:
        if layer.name == chosen:
            figure.add_shape(type="rect", x0=layer.block - 0.5, x1=layer.block + 0.5, y0=modules.index(kind_of(layer.module)) - 0.5,
                             y1=modules.index(kind_of(layer.module)) + 0.5, line={"color": INKS[theme].text, "width": 2.5})
    none = f": {numbers.NOT_COMPUTED}" if np.isnan(cells).all() else ""
    figure.update_layout(
        title={"text": _KINDS[measure].title + none, "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 6, "l": 2}},
        hoverdistance=60, clickmode="event+select", dragmode=False,
        xaxis={"title": {"text": "decoder block"}, **bare_axis(), "dtick": _step(len(blocks)),
               "range": [min(blocks, default=0) - 0.54, max(blocks, default=0) + 0.54]},
        yaxis={**bare_axis(), "tickvals": list(range(len(modules))),
               "ticktext": short_modules(modules), "range": [len(modules) - 0.46, -0.54]})
    return figure


def _median(layers: Sequence[LayerRecord], measure: Measure) -> float:
    known = [value for value in (_value(layer, measure) for layer in layers) if not math.isnan(value)]
    return statistics.median(known) if known else math.nan


def _most(layers: Sequence[LayerRecord], measure: Measure) -> LayerRecord:
    return max(layers, key=lambda layer: -math.inf if math.isnan(_value(layer, measure)) else _value(layer, measure))


def _hover(layers: Sequence[LayerRecord], measure: Measure, calibration: str) -> str:
    most = hover_of(_most(layers, measure), calibration)
    return most if len(layers) == 1 else f"median of {len(layers)} experts; the one of most:<br>{most}"


def _heatmap(cells: np.ndarray, blocks: Sequence[int], measure: Measure, *, few: bool, theme: Theme) -> go.Heatmap:
    shown, bar = _scaled(cells, measure)
    shown, low, high = _bounded(shown)
    return go.Heatmap(
        x=list(blocks), y=list(range(len(cells))), z=shown, zmin=low, zmax=high, colorscale=MAGNITUDES[theme], hoverinfo="skip",
        xgap=3 if few else 1, ygap=3 if few else 1, showscale=not few, colorbar={"thickness": 10, "outlinewidth": 0, **bar})


def _bounded(shown: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The values, infinite ones at the upper end, with the ends of their scale."""
    finite = shown[np.isfinite(shown)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return np.where(np.isposinf(shown), high, shown), low, high if high > low else low + 1


def _write(figure: go.Figure, cells: np.ndarray, blocks: Sequence[int], measure: Measure, theme: Theme) -> None:
    """Each cell's number, in black or white: Plotly's own choice of gray is hard to read on the colors in the middle."""
    shown, low, high = _bounded(_scaled(cells, measure)[0])
    annotate(figure, [
        {"x": blocks[column], "y": row, "text": _word(value, measure), "showarrow": False,
         "font": {"size": 13, "color": readable(MAGNITUDES[theme], (float(shown[row, column]) - low) / (high - low))}}
        for (row, column), value in np.ndenumerate(cells) if not math.isnan(value)])


def _scaled(cells: np.ndarray, measure: Measure) -> tuple[np.ndarray, dict[str, object]]:
    """Logarithms where the values span more than a factor, with plain numbers beside the colors."""
    positive = cells[np.isfinite(cells) & (cells > 0)]
    if not _KINDS[measure].log or not positive.size or positive.max() / positive.min() < _LOG_FROM:
        _, low, high = _bounded(cells)
        axis = share_axis(low, high) if measure == "sparsity" else {}
        return cells, {name: axis[name] for name in ("tickvals", "ticktext") if name in axis}
    low, high = main_part(positive.tolist())  # one layer far from all others would leave these one color
    low = max(low, high / 1e8)
    axis = log_axis(low, high)
    shown = np.clip(cells, low, np.where(np.isposinf(cells), np.inf, high))
    return np.log10(shown), {"tickvals": np.log10(axis["tickvals"]).tolist(), "ticktext": axis["ticktext"]}


def _value(layer: LayerRecord, measure: Measure) -> float:
    match measure:
        case "error":
            return layer.relative_error
        case "gap":
            return math.nan if layer.gap is None else 1 + layer.gap
        case "sparsity":
            return layer.counted_sparsity


def _word(value: float, measure: Measure) -> str:
    match measure:
        case "error":
            return numbers.error(value)
        case "gap":
            return numbers.times(value)
        case "sparsity":
            return numbers.percent(value)


def _step(blocks: int) -> int:
    return next(step for step in (1, 2, 4, 5, 10, 20, 50, 1000) if blocks / step <= 16 or step == 1000)
