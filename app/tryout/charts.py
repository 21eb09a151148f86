"""Charts of the Try it out page: differences with their intervals. Records to Plotly."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from app.shared.style import INKS, Theme, template
from core.records.tasks import Score, TaskScores

TIE = 2.0


def differences(tasks: Mapping[str, TaskScores], metric: str, *, theme: Theme = "light") -> go.Figure:
    """dense − pruned in points, a line a task, with two paired standard errors to each side."""
    ink = INKS[theme]
    found = {name: change for name, scores in tasks.items() if metric in scores.scores and (change := scores.difference(metric))}
    figure = go.Figure(layout={"template": template(theme), "height": 96 + 34 * max(1, len(found)),
                               "margin": {"l": 8, "r": 12, "t": 8, "b": 8}, "showlegend": False})
    figure.add_vline(x=0, line={"color": ink.text, "width": 1, "dash": "dot"})
    figure.add_trace(go.Scatter(
        x=[100 * change.value for change in found.values()], y=list(found), mode="markers",
        marker={"color": ink.text, "size": 9, "symbol": ["circle" if _told(change) else "circle-open" for change in found.values()],
                "line": {"width": 2, "color": ink.text}},
        error_x={"type": "data", "array": [100 * TIE * (change.stderr or 0) for change in found.values()], "color": ink.faint, "width": 4},
        hovertemplate=[f"{name}: {100 * change.value:.2f} points<br>± {100 * (change.stderr or 0):.2f} (one standard error)<extra></extra>"
                       for name, change in found.items()]))
    figure.update_layout(xaxis={"title": {"text": f"accuracy lost, dense − pruned,<br>in points ({metric})"}, "showgrid": True,
                                "zeroline": False},
                         yaxis={"autorange": "reversed", "showgrid": False, "type": "category"})
    return figure


def _told(change: Score) -> bool:
    return change.stderr is not None and abs(change.value) > TIE * change.stderr
