"""Chart of the scores by which whole blocks were chosen."""

from __future__ import annotations

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.charts.axes import log_axis
from app.shared.style import INKS, Theme, method_mark, template
from core.records import RemovedShape

_LOG_FROM = 12.0  # a linear axis hides the small scores beyond this ratio


def block_scores(shape: RemovedShape, method: str, *, theme: Theme = "light", height: int = 400) -> go.Figure:
    """A bar for each candidate; those of the blocks that went are hollow, and say so."""
    mark, ink = method_mark(method), INKS[theme]
    blocks, values = list(shape.scores), list(shape.scores.values())
    gone = [block in shape.blocks for block in blocks]
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 8, "t": 72, "b": 8}})
    for name, chosen in (("stays", False), ("gone", True)):
        mine = [(block, value) for block, value, went in zip(blocks, values, gone, strict=True) if went == chosen]
        figure.add_trace(go.Bar(
            x=[block for block, _ in mine], y=[value for _, value in mine], name=name, width=0.62,
            marker={"color": ink.paper if chosen else mark.color, "line": {"color": mark.color, "width": 2}},
            text=[numbers.error(value) for _, value in mine], textposition="outside", cliponaxis=False,
            hovertemplate=[f"<b>block {block}</b>, {name}<br>{shape.score}: {numbers.error(value)}<extra></extra>"
                           for block, value in mine]))
    positive = [value for value in values if value > 0]
    scale = log_axis(min(positive), max(positive)) if positive and max(positive) > _LOG_FROM * min(positive) else {}
    figure.update_layout(
        title={"text": "What each block costs, and which ones are gone", "y": 1, "yref": "container", "yanchor": "top",
               "pad": {"t": 6, "l": 2}},
        xaxis={"title": {"text": "decoder block"}, "dtick": 1 if len(blocks) <= 24 else 4},
        yaxis={"title": {"text": shape.score}, **scale}, barmode="overlay",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "xanchor": "left"})
    return figure
