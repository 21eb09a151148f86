"""Chart of input-guided skipping: perplexity against blocks run per token, fixed and per input."""

from __future__ import annotations

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.charts.axes import log_axis
from app.shared.charts.series import add_dense
from app.shared.style import INKS, Theme, method_mark, template
from core.evaluate.comparison import compare
from core.records.guided import GuidedPoint, InputGuided

FIXED, GUIDED = "the same blocks for every text", "blocks chosen per input"


def guided_curves(found: InputGuided, *, theme: Theme = "light", height: int = 380) -> go.Figure:
    """Two curves that begin at the dense model; fewer blocks run to the right. Perplexity is logarithmic."""
    mark = method_mark(found.spec.method.name)
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 12, "t": 8, "b": 8}})
    places = [float(found.blocks), *(point.blocks_run for point in found.points)]
    for name, fixed in ((FIXED, True), (GUIDED, False)):
        values = [found.dense.perplexity, *((point.fixed if fixed else point.guided).perplexity for point in found.points)]
        figure.add_trace(go.Scatter(
            x=places, y=values, name=name, mode="lines+markers",
            line={"color": mark.color if fixed else INKS[theme].text, "width": 2, "dash": "solid" if fixed else "dot"},
            marker={"symbol": mark.symbol if fixed else "diamond-open", "size": 9 if fixed else 12, "color": mark.color if fixed else
                    INKS[theme].text},
            hovertemplate=[f"<b>dense</b>, perplexity {numbers.perplexity(found.dense.perplexity)}<extra></extra>",
                           *(_hover(found, point, name, fixed=fixed) for point in found.points)]))
    every = [value.perplexity for point in found.points for value in (point.fixed, point.guided)] + [found.dense.perplexity]
    figure.update_layout(
        legend={"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0, "xanchor": "left"},
        xaxis={"title": {"text": f"blocks run by each token, of {found.blocks}"}, "range": [max(places) + 0.3, min(places) - 0.3],
               "dtick": 1 if len(places) <= 24 else 4},
        yaxis={"title": {"text": "perplexity"}, **log_axis(min(every), max(every) * 1.0001)})
    add_dense(figure, found.dense, theme, log=True)
    return figure


def _hover(found: InputGuided, point: GuidedPoint, name: str, *, fixed: bool) -> str:
    measured = point.fixed if fixed else point.guided
    change = compare(point.fixed, point.guided)
    lines = [f"<b>{name}</b>", f"{numbers.setting(point.blocks_run)} of {found.blocks} blocks run",
             f"perplexity {numbers.perplexity(measured.perplexity)}"]
    lines += [] if fixed or change is None or point.equal else [f"{change.verdict} over the same blocks for every text"]
    return "<br>".join([*lines, measured.protocol]) + "<extra></extra>"
