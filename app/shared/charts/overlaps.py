"""Chart of mask overlap: two runs' masks against each other, layer by layer."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.charts.module_axis import ModuleAxis
from app.shared.comparison import Compared
from app.shared.findings import wording
from app.shared.style import INKS, Theme, template
from core.records.overlaps import Overlap, Overlaps

_COMMON = "#4477AA"


def overlap_chart(a: Compared, b: Compared, found: Overlaps, *, theme: Theme = "light", height: int = 320) -> go.Figure:
    """The Jaccard index of two masks by layer, and what it would be by chance."""
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 8, "t": 68, "b": 8}})
    layers = found.layers
    axis = ModuleAxis([a.layers[name] for name in layers])
    figure.add_trace(go.Scatter(
        x=axis.broken(axis.places), y=axis.broken({name: layer.jaccard_by_chance for name, layer in layers.items()}), mode="lines",
        name="by chance, for these sparsities", hoverinfo="skip", line={"color": INKS[theme].faint, "width": 1, "dash": "dot"}))
    figure.add_trace(go.Scatter(
        x=axis.broken(axis.places), y=axis.broken({name: layer.jaccard for name, layer in layers.items()}), mode="lines+markers",
        name="removed by both ÷ removed by either", line={"color": _COMMON, "width": 1.5}, marker={"size": 8, "color": _COMMON},
        text=axis.broken({name: _hover(a, b, name, layer) for name, layer in layers.items()}), hovertemplate="%{text}<extra></extra>"))
    figure.update_layout(
        title={"text": "Which weights went in both?", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 6, "l": 2}},
        yaxis={"title": {"text": "Jaccard index of the masks"}, "range": [0, 1.04], "dtick": 0.2},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "xanchor": "left"})
    axis.draw(figure, theme)
    return figure


def _hover(a: Compared, b: Compared, name: str, layer: Overlap) -> str:
    entries = layer.entries
    shares = (("removed by both", layer.both), (f"only by {a.label}", layer.only_a), (f"only by {b.label}", layer.only_b))
    return "<br>".join([
        f"<b>{escape(wording.short_name(a.layers[name]))}</b>",
        f"Jaccard index {numbers.index(layer.jaccard)}, by chance {numbers.index(layer.jaccard_by_chance)}",
        *(f"{escape(name)}: {numbers.percent(count / entries)} of its {numbers.count(entries)} weights" for name, count in shares),
        f"{numbers.percent(layer.common)} of what {escape(a.label)} removes goes in both"])
