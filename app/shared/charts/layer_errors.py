"""Chart of the layers' errors, each beside the optimum of its mask."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.charts.axes import at_edge, edge_marks, log_axis, main_part
from app.shared.style import INKS, OPTIMUM, Mark, Theme, module_marks, template
from core.records import LayerRecord
from core.records.modules import expert_of, kind_of
from core.records.previews import LayerEstimate

Ends = tuple[float, float]
_BESIDE = ", and the best possible for its mask"
TITLE = f"Where the error is: every layer{_BESIDE}"
NO_OPTIMUM = f"{OPTIMUM}: {numbers.NOT_COMPUTED}"
_SPREAD = 0.62  # how much of a block's width its modules share
_SIDE_BY_SIDE = 14  # up to so many blocks there is room for the modules beside each other
_LOG_FROM = 12.0  # a linear axis hides the small errors beyond this ratio


def layer_errors(layers: Sequence[LayerRecord], *, theme: Theme = "light", title: str = TITLE, calibration: str = "",
                 blocks: int | None = None, height: int = 400) -> go.Figure:
    """Block on x, one series a module, relative error on y; hollow marks are the optimum, what lies between them the gap. A block's experts
    are one series, side by side in their block by their numbers.

    `blocks` fixes the width of the x axis while a run is still going on. `calibration` is the protocol of the errors, for hover.
    """
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 8, "t": 72, "b": 8}})
    marks = module_marks(kind_of(layer.module) for layer in layers)
    experts = 1 + max((expert_of(layer.module) or 0 for layer in layers), default=0)
    last = max([layer.block for layer in layers], default=0) if blocks is None else blocks - 1
    room, ends = last < _SIDE_BY_SIDE, error_ends(layers)
    for place, ((module, mark), label) in enumerate(zip(marks.items(), short_modules(marks), strict=True)):
        offset = _SPREAD * (place / (len(marks) - 1) - 0.5) if room and len(marks) > 1 else 0.0
        mine = sorted((layer for layer in layers if kind_of(layer.module) == module),
                      key=lambda layer: (layer.block, expert_of(layer.module) or 0))
        width = 0.8 * _SPREAD / len(marks) if room else _SPREAD
        several = experts > 1 and expert_of(mine[0].module) is not None
        xs = [layer.block + offset + (width * ((expert_of(layer.module) or 0) / (experts - 1) - 0.5) if several else 0.0) for layer in mine]
        if room and not several:
            _add_stems(figure, xs, mine, mark, ends)
        _add_errors(figure, xs, mine, mark, ends, label=label, lines=not room and not several, calibration=calibration)
    add_legend(figure, layers, INKS[theme].faint)
    if layers and all(layer.optimum_error is None for layer in layers):
        title = title.removesuffix(_BESIDE)
    figure.update_layout(
        title={"text": title, "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 6, "l": 2}},
        xaxis={"title": {"text": "decoder block"}, "range": [-0.6, last + 0.6], "dtick": _step(last + 1), "tick0": 0},
        yaxis={"title": {"text": "relative error of the output"}, **_scale(layers)},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "xanchor": "left"},
    )
    return figure


def add_legend(figure: go.Figure, layers: Sequence[LayerRecord], color: str) -> None:
    """The meaning of hollow marks; or that the optimum was not computed, where no layer has one."""
    known = not layers or any(layer.optimum_error is not None for layer in layers)
    figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=f"hollow: {OPTIMUM}" if known else NO_OPTIMUM, hoverinfo="skip",
                                marker={"symbol": "circle-open" if known else "line-ew", "size": 9, "color": color,
                                        "line": {"width": 1.5}, "opacity": 1 if known else 0}))


def _add_stems(figure: go.Figure, xs: Sequence[float], layers: Sequence[LayerRecord], mark: Mark, ends: Ends) -> None:
    figure.add_trace(go.Scatter(
        x=[x for at in xs for x in (at, at, None)],
        y=[y for layer in layers for y in (at_edge(optimum_of(layer), *ends), at_edge(layer.relative_error, *ends), None)],
        mode="lines", hoverinfo="skip", opacity=0.55, line={"color": mark.color, "width": 1.5},
        legendgroup=kind_of(layers[0].module), showlegend=False))


def _add_errors(figure: go.Figure, xs: Sequence[float], layers: Sequence[LayerRecord], mark: Mark, ends: Ends, *, label: str,
                lines: bool, calibration: str) -> None:
    size = 6 if lines else 9 if expert_of(layers[0].module) is None else 4
    common = {"mode": "lines+markers" if lines else "markers", "legendgroup": kind_of(layers[0].module),
              "customdata": [layer.name for layer in layers], "text": [hover_of(layer, calibration) for layer in layers],
              "hovertemplate": "%{text}<extra></extra>"}
    best, errors = [optimum_of(layer) for layer in layers], [layer.relative_error for layer in layers]
    figure.add_trace(go.Scatter(
        x=xs, y=[at_edge(value, *ends) for value in best], name=f"{label}, optimum", showlegend=False,
        line={"color": mark.color, "width": 1, "dash": "dot"}, opacity=0.6 if lines else 1,
        marker={"symbol": edge_marks(best, *ends, mark.hollow), "size": size - 1, "color": mark.color, "line": {"width": 1.5}}, **common))
    figure.add_trace(go.Scatter(
        x=xs, y=[at_edge(value, *ends) for value in errors], name=label, line={"color": mark.color, "width": 1.5},
        marker={"symbol": edge_marks(errors, *ends, mark.symbol), "size": size, "color": mark.color}, **common))


def hover_of(layer: LayerRecord, calibration: str) -> str:
    rows, columns = layer.shape
    lines = [
        f"<b>{layer.name}</b>  {rows} × {columns}",
        f"error {numbers.error(layer.relative_error)} of the output's energy",
        *([layer.error_words] if isinstance(layer, LayerEstimate) else []),
        *optimum_lines(layer),
        f"counted sparsity {numbers.percent(layer.counted_sparsity)}",
    ]
    if layer.dense_rows or layer.dense_columns:
        lines.append(f"left dense: {numbers.plural(layer.dense_rows, 'row')}, {numbers.plural(layer.dense_columns, 'column')}")
    if layer.damping is not None:
        lines.append(f"damping λ = {numbers.setting(layer.damping)}")
    measured = f"measured on {calibration}" if calibration else f"measured on {numbers.count(layer.tokens)} tokens"
    return "<br>".join([*lines, *textwrap.wrap(measured, 60)])


def optimum_of(layer: LayerRecord) -> float:
    """The layer's optimum on an axis: NaN, which is not drawn, where it was not computed."""
    return math.nan if layer.optimum_error is None else layer.optimum_error


def optimum_lines(layer: LayerRecord) -> list[str]:
    """The layer's optimum in a hover, and what it was estimated from."""
    if layer.optimum_error is None:
        return [NO_OPTIMUM]
    return [f"{OPTIMUM} {numbers.error(layer.optimum_error)} ({numbers.over_optimum(layer.gap)})", *filter(None, [layer.optimum_words])]


def error_ends(layers: Iterable[LayerRecord]) -> Ends:
    """Ends of an axis for the errors and optima of layers; what lies far from all others is drawn at the edge."""
    values = [value for layer in layers for value in (layer.relative_error, optimum_of(layer))]
    return main_part(values) if any(0 < value < math.inf for value in values) else (0.0, math.inf)


def _scale(layers: Sequence[LayerRecord]) -> dict[str, object]:
    """Linear from zero, or logarithmic where the smallest error would vanish."""
    low, high = error_ends(layers)
    if 0 < low * _LOG_FROM < high:
        return log_axis(low, high)
    return {"type": "linear", "rangemode": "tozero", "exponentformat": "none"}


def short_modules(modules: Sequence[str] | dict[str, Mark]) -> list[str]:
    """`q_proj` instead of `self_attn.q_proj`, where that is still unambiguous."""
    ends = [module.rpartition(".")[2] for module in modules]
    return ends if len(set(ends)) == len(ends) else list(modules)


def _step(blocks: int) -> int:
    return next(step for step in (1, 2, 4, 5, 10, 20, 50, 1000) if blocks / step <= 16 or step == 1000)
