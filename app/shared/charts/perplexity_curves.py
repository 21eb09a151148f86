"""Charts of perplexity against counted sparsity, against B, against α. Pure functions from series to Plotly.

A line goes through the medians over the seeds, a band spans least to greatest. What is ten times the dense perplexity and more is
broken: it is drawn on the upper edge with its number, so that it does not flatten the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.charts.axes import share_axis
from app.shared.charts.series import BROKEN, Place, Scale, add_dense, add_published, add_series, edge_of, perplexity_axis
from app.shared.findings.wording import describe
from app.shared.style import INKS, Theme, method_mark, template
from app.shared.sweeps.published import Published
from app.shared.sweeps.series import Series, Spot, patterns_in_order, perplexity
from core.records import Evaluated
from core.spec import RunSpec
from core.spec.patterns import SemiStructured, pattern_word

_FAR, _EDGE = 1.5, 1.15  # times the greatest of the others: from there on the choice is far, and where it then stands
_DODGE = 0.6  # how much of a pattern's width its methods share


def sparsity_curves(series: Sequence[Series], dense: Evaluated, *, theme: Theme = "light", published: Sequence[Published] = (),
                    height: int = 430, scale: Scale = "auto", choice: tuple[float, float] | None = None) -> go.Figure:
    """Perplexity against counted sparsity; n:m patterns stand side by side instead, for several have the same sparsity.

    `choice`: counted sparsity and perplexity of the present choice, which the axes must have room for (`add_choice`)."""
    words = patterns_in_order(series)
    place = _dodged(series, words) if words else None
    also = [*(number.perplexity for number in published), *([_choice_height(series, dense, choice[1])] if choice else [])]
    figure = curves(series, dense, theme=theme, height=height, place=place, lines=not words, scale=scale, also=also)
    for number in published:
        at = words.index(pattern_word(number.pattern)) if words and pattern_word(number.pattern) in words else number.sparsity
        add_published(figure, number, at)
    if words:
        share = {pattern_word(spot.points[0].spec.pattern): spot.points[0].counted_sparsity for one in series for spot in one.spots}
        figure.update_xaxes(title="n:m pattern, and the sparsity counted", tickvals=list(range(len(words))), range=[-0.6, len(words) - 0.4],
                            ticktext=[f"{word}<br>{numbers.percent(share[word])}" for word in words])
    else:
        figure.update_xaxes(title="counted sparsity of the pruned layers", **_shares([
            *(spot.x for one in series for spot in one.spots), *(number.sparsity for number in published), *(choice or ())[:1]]))
    return figure


def curves(series: Sequence[Series], dense: Evaluated, *, theme: Theme, height: int, place: Place | None = None, lines: bool = True,
           also: Sequence[float] = (), scale: Scale = "auto") -> go.Figure:
    """Series with their bands, the dense model as a line, perplexity on y."""
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 12, "t": 40, "b": 8}})
    edge = edge_of(series, dense, also)
    for one in series:
        add_series(figure, one, edge, place=place or (lambda _, spot: spot.x), lines=lines)
    axis = perplexity_axis(series, dense, edge, also, scale=scale)
    add_dense(figure, dense, theme, log=axis["type"] == "log")
    figure.update_layout(legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "xanchor": "left"},
                         yaxis={"title": {"text": "perplexity"}, **axis})
    return figure


def add_choice(figure: go.Figure, series: Sequence[Series], dense: Evaluated, spec: RunSpec, sparsity: float, value: float, *,
               theme: Theme, label: str) -> None:
    """The present choice: its own mark with a ring around it, beside the other methods where these stand side by side; on the upper edge
    if it lies far above all others. An n:m that no curve has yet has no place on the axis. The figure must be made with this choice."""
    at: float = sparsity
    if isinstance(spec.pattern, SemiStructured):
        words = [text.partition("<br>")[0] for text in figure["layout"]["xaxis"]["ticktext"] or ()]
        if pattern_word(spec.pattern) not in words:
            return
        at = words.index(pattern_word(spec.pattern)) + next(
            (_offset(series, one) for one in series if one.method == spec.method.name), 0.0)
    mark, y = method_mark(spec.method.name), _choice_height(series, dense, value)
    beyond = not value <= y
    figure.add_trace(go.Scatter(x=[at], y=[y], mode="markers", name=f"{label}: mark", showlegend=False, hoverinfo="skip", cliponaxis=False,
                                marker={"symbol": "arrow-up" if beyond else mark.symbol, "size": 9, "color": mark.color}))
    figure.add_trace(go.Scatter(
        x=[at], y=[y], mode="markers", name=label, cliponaxis=False,
        marker={"symbol": "circle-open", "size": 17, "color": mark.color, "line": {"width": 3, "color": mark.color}},
        hovertemplate=f"<b>{label}</b><br>{describe(spec)}<br>perplexity {numbers.perplexity(value)} at "
                      f"{numbers.percent(sparsity)}<extra></extra>"))
    figure.add_annotation(
        x=at, y=math.log10(y) if figure["layout"]["yaxis"]["type"] == "log" else y, text=numbers.perplexity(value),
        showarrow=True, arrowhead=0, arrowwidth=1, arrowcolor=INKS[theme].faint, standoff=9,
        ax=-34, ay=34 if beyond else -44,  # curves rise to the right
        bgcolor=INKS[theme].paper, font={"color": INKS[theme].text, "size": 13})


def _choice_height(series: Sequence[Series], dense: Evaluated, value: float) -> float:
    """Height of the present choice: its perplexity, or the upper edge where it lies so far above the others that it would flatten them."""
    values, limit = [dense.perplexity, *(spot.value(perplexity) for one in series for spot in one.spots)], BROKEN * dense.perplexity
    if any(not other <= limit for other in values):
        return min(value, limit)
    return value if value <= _FAR * max(values) else _EDGE * max(values)


def _shares(values: Sequence[float]) -> dict[str, Any]:
    """An axis of sparsities with room at both ends and round ticks."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    return share_axis(low - 0.03, high + 0.03)


def _dodged(series: Sequence[Series], words: Sequence[str]) -> Place:
    def place(one: Series, spot: Spot) -> float:
        return words.index(pattern_word(spot.points[0].spec.pattern)) + _offset(series, one)

    return place


def _offset(series: Sequence[Series], one: Series) -> float:
    """Place of a series beside the others of its pattern."""
    return list(series).index(one) * _DODGE / max(1, len(series) - 1) - _DODGE / 2 if len(series) > 1 else 0.0
