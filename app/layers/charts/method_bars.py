"""One layer, every method: what its mask costs at best, and what the method leaves beyond that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.charts.axes import log_axis
from app.shared.charts.layer_errors import add_legend, hover_of
from app.shared.style import INKS, Theme, method_mark, template
from core.records import LayerRecord
from core.records.previews import LayerEstimate

_LOG_FROM = 12.0  # a linear axis hides the small errors beyond this ratio


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A method's record of the layer, or None while it is computed, or if it will not come (`missing`). `present`: the one that the
    controls ask for; `stale`: of an earlier question."""

    method: str
    label: str
    record: LayerRecord | None
    present: bool = False
    stale: bool = False
    missing: bool = False


def method_bars(bars: Sequence[Bar], *, calibration: str = "", theme: Theme = "light", height: int = 380) -> go.Figure:
    """Horizontal bars, the first on top: pale up to the optimum for the mask (a hollow mark), full from there to the error reached."""
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 8, "t": 60, "b": 8}})
    axis, low = _axis([bar.record for bar in bars if bar.record])
    for place, bar in enumerate(bars):
        if bar.record:
            _add_bar(figure, place, bar, bar.record, low, hover_of(bar.record, calibration), INKS[theme].text)
        end = max(bar.record.relative_error, low) if bar.record else low
        figure.add_annotation(x=math.log10(end) if axis["type"] == "log" else end, y=place, xanchor="left", xshift=8, showarrow=False,
                              text=_text(bar), font={"size": 13})
    add_legend(figure, [bar.record for bar in bars if bar.record], INKS[theme].text)
    figure.update_layout(
        barmode="overlay", hovermode="closest",
        title={"text": "What every method leaves in it, and what its mask alone costs", "y": 1, "yref": "container", "yanchor": "top",
               "pad": {"t": 6, "l": 2}},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "xanchor": "left"},
        xaxis={"title": {"text": "relative error of the output"}, "showgrid": True, **axis},
        yaxis={"tickvals": list(range(len(bars))), "showgrid": False, "ticks": "", "showline": False, "range": [len(bars) - 0.4, -0.6],
               "ticktext": [f"<b>{bar.label}</b>" if bar.present else bar.label for bar in bars]})
    return figure


def _add_bar(figure: go.Figure, place: int, bar: Bar, record: LayerRecord, low: float, hover: str, ink: str) -> None:
    mark, fade = method_mark(bar.method), 0.35 if bar.stale else 1.0
    error, known = max(record.relative_error, low), record.optimum_error is not None
    best = min(max(record.optimum_error or 0.0, low), error)
    common = {"y": [place], "orientation": "h", "showlegend": False, "hovertext": hover, "hovertemplate": "%{hovertext}<extra></extra>",
              "width": 0.66, "marker": {"color": mark.color, "line": {"width": 0}}}
    figure.add_trace(go.Bar(x=[best - low], base=[low], opacity=0.34 * fade, **common))
    figure.add_trace(go.Bar(x=[error - best], base=[best], opacity=fade, **common))
    if not known:
        return
    figure.add_trace(go.Scatter(
        x=[best], y=[place], mode="markers", showlegend=False, hoverinfo="skip", cliponaxis=False, opacity=fade,
        marker={"symbol": mark.hollow, "size": 9, "color": ink, "line": {"width": 1.6}}))


def _text(bar: Bar) -> str:
    if bar.missing:
        return "<span style='opacity:.75'>no answer</span>"
    if bar.record is None or bar.stale:
        return "…"
    about = "≈ " if isinstance(bar.record, LayerEstimate) else ""
    words = f"{about}{numbers.error(bar.record.relative_error)}  <span style='opacity:.75'>{numbers.over_optimum(bar.record.gap)}</span>"
    return f"<b>{words}</b>" if bar.present else words


def _axis(records: Sequence[LayerRecord]) -> tuple[dict[str, object], float]:
    """The axis with room for the numbers at the bars' ends, and where bars begin: 0, or the left end of a logarithmic axis."""
    errors = [record.relative_error for record in records if 0 < record.relative_error < math.inf]
    best = [record.optimum_error for record in records if record.optimum_error]
    if not errors or max(errors) / min(errors) < _LOG_FROM:
        top = max(errors, default=1.0)
        return {"type": "linear", "range": [0, 1.3 * top], "exponentformat": "none", "nticks": 6}, 0.0
    axis = log_axis(min([*errors, *(value for value in best if value > min(errors) / 10)]), max(errors))
    low, high = axis["range"]
    return {**axis, "range": [low, high + 0.3 * (high - low)]}, 10**low
