"""Charts of runs side by side: perplexities on a line with the dense model's, and errors layer by layer."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.charts.axes import at_edge, edge_marks, log_axis
from app.shared.charts.layer_errors import Ends, add_legend, error_ends, optimum_lines, optimum_of
from app.shared.charts.module_axis import ModuleAxis
from app.shared.charts.series import BROKEN
from app.shared.comparison import Compared, common_layers
from app.shared.findings import wording
from app.shared.findings.cautions import same_evaluation
from app.shared.style import INKS, Theme, dense_mark, template
from core.records import LayerRecord

_LOG_FROM = 12.0  # a linear axis hides the small errors beyond this ratio
_PERPLEXITY_LOG_FROM = 4.0  # and what is near the dense model beyond this
_FEW = 120  # up to so many layers on the axis there is room for large marks
_TITLE = "Where do they differ? The error of every layer"
_OWN_INPUTS = "on its own inputs, which pass through its pruned blocks"


def perplexities(runs: Sequence[Compared], *, theme: Theme = "light") -> go.Figure:
    """One line a run: from the dense model's perplexity (bar) to the pruned one's (mark). One dense line where it is the same for all."""
    ink, dense_color = INKS[theme], dense_mark(theme).color
    labels = [escape(run.label) for run in runs]
    figure = go.Figure(layout={"template": template(theme), "height": perplexities_height(runs),
                               "margin": {"l": 8, "r": 48, "t": 38, "b": 8}})
    end = _perplexity_end(runs)
    for run, label in zip(runs, labels, strict=True):
        dense, pruned = run.result.dense.perplexity, run.result.pruned.perplexity
        shown = min(pruned, end) if math.isfinite(pruned) else None
        hover = _perplexity_hover(run)
        figure.add_trace(go.Scatter(x=[dense, shown], y=[label, label], mode="lines", hoverinfo="skip", showlegend=False,
                                    line={"color": run.mark.color, "width": 2}))
        figure.add_trace(go.Scatter(
            x=[dense], y=[label], mode="markers", showlegend=False, hovertemplate="%{text}<extra></extra>", text=[hover],
            marker={"symbol": "line-ns", "size": 14, "line": {"width": 2, "color": dense_color}}))
        figure.add_trace(go.Scatter(
            x=[shown if shown is not None else dense], y=[label], mode="markers+text", name=label, showlegend=False,
            text=[f"  {numbers.perplexity(pruned)}"], textposition="middle right", customdata=[hover], cliponaxis=False,
            hovertemplate="%{customdata}<extra></extra>", textfont={"color": ink.text, "size": 13},
            marker={"symbol": run.mark.symbol if pruned <= end else "arrow-right", "size": 11 if shown is not None else 1,
                    "color": run.mark.color}))
    if same_evaluation(runs):
        dense = runs[0].result.dense.perplexity
        figure.add_vline(x=dense, line={"color": dense_color, "width": 1, "dash": "dot"})
        title = f"Perplexity: from dense {numbers.perplexity(dense)} (bar) to pruned"
    else:
        title = "Perplexity, not measured alike: from dense (bar) to pruned"
    figure.update_layout(
        title={"text": title, "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 6, "l": 2}},
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": labels[::-1], "showgrid": False, "ticks": "",
               "showline": False},
        xaxis={**_perplexity_scale(runs), "showgrid": True})
    return figure


def perplexities_height(runs: Sequence[Compared]) -> int:
    """A title, an axis, and a line a run."""
    return 92 + 27 * len(runs)


def errors(runs: Sequence[Compared], *, theme: Theme = "light", height: int = 360) -> go.Figure:
    """Modules on x, within each its blocks from first to last; one series a run, hollow: the best possible for the same mask."""
    top = 68 if len(runs) < 5 else 88  # the legend may take two lines
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 8, "t": top, "b": 8}})
    names = common_layers(runs)
    axis = ModuleAxis([runs[0].layers[name] for name in names] if runs else [])
    size = 8 if len(names) <= _FEW and len(runs) <= 3 else 6 if len(names) <= _FEW else 4
    ends = error_ends(run.layers[name] for run in runs for name in names)
    for run in runs:
        text = axis.broken({name: _layer_hover(run, run.layers[name]) for name in names})
        for field, solid in (("optimum_error", False), ("relative_error", True)):
            values = {name: optimum_of(run.layers[name]) if field == "optimum_error" else run.layers[name].relative_error for name in names}
            ys = axis.broken({name: _drawn(at_edge(value, *ends)) for name, value in values.items()})
            symbols = edge_marks([value or math.nan for value in axis.broken(values)], *ends, run.mark.symbol if solid else run.mark.hollow)
            figure.add_trace(go.Scatter(
                x=axis.broken(axis.places), y=ys, text=text, mode="lines+markers",
                name=escape(run.label) + ("" if solid else ", optimum"), showlegend=solid,
                legendgroup=escape(run.label), hovertemplate="%{text}<extra></extra>", opacity=1 if solid else 0.75,
                line={"color": run.mark.color, "width": 1.5 if solid else 0.8, "dash": run.mark.dash if solid else "dot"},
                marker={"symbol": symbols, "size": size if solid else size - 1,
                        "color": run.mark.color, "line": {"width": 0 if solid else 1.3}}))
    add_legend(figure, [run.layers[name] for run in runs for name in names], INKS[theme].faint)
    figure.update_layout(
        title={"text": _TITLE, "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 6, "l": 2}},
        yaxis={"title": {"text": "relative error of the output"}, **_error_scale(ends)},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "xanchor": "left"})
    axis.draw(figure, theme)
    return figure


def _drawn(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _perplexity_end(runs: Sequence[Compared]) -> float:
    """End of the axis of perplexities: a broken model, far beyond the others, stands on it as an arrow with its number."""
    found = [(run.result.pruned.perplexity, run.result.dense.perplexity) for run in runs if math.isfinite(run.result.pruned.perplexity)]
    alive = [pruned for pruned, dense in found if pruned <= BROKEN * dense]
    if not alive or len(alive) == len(found):
        return math.inf
    low = min(run.result.dense.perplexity for run in runs)
    return max(alive) + max(0.35 * (max(alive) - low), 0.02 * max(alive))


def _perplexity_scale(runs: Sequence[Compared]) -> dict[str, object]:
    end = _perplexity_end(runs)
    values = [min(value, end) for run in runs for value in (run.result.dense.perplexity, run.result.pruned.perplexity)
              if math.isfinite(value)]
    if not values:
        return {}
    low, high = min(values), max(values)
    if high / max(low, 1e-9) > _PERPLEXITY_LOG_FROM:
        return log_axis(low, high)
    room = max(high - low, 0.02 * high)
    return {"type": "linear", "range": [low - 0.05 * room, high + 0.05 * room], "exponentformat": "none"}


def _error_scale(ends: Ends) -> dict[str, object]:
    if 0 < ends[0] * _LOG_FROM < ends[1]:
        return log_axis(*ends)
    return {"type": "linear", "rangemode": "tozero", "exponentformat": "none"}


def _perplexity_hover(run: Compared) -> str:
    result = run.result
    lines = [f"<b>{escape(run.label)}</b>", f"dense {numbers.perplexity(result.dense.perplexity)}, "
             f"pruned {numbers.perplexity(result.pruned.perplexity)}", f"counted sparsity {numbers.percent(result.counted_sparsity)}"]
    return "<br>".join([*lines, *(escape(line) for line in textwrap.wrap(f"measured on {result.pruned.protocol}", 60))])


def _layer_hover(run: Compared, layer: LayerRecord) -> str:
    measured = textwrap.wrap(f"measured on {run.result.calibration}, {_OWN_INPUTS}", 60)
    return "<br>".join([
        f"<b>{escape(run.label)}</b>, {escape(wording.short_name(layer))}", f"error {numbers.error(layer.relative_error)}",
        *optimum_lines(layer), f"counted sparsity {numbers.percent(layer.counted_sparsity)}",
        *(escape(line) for line in measured)])
