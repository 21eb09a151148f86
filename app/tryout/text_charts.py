"""Charts of texts side by side: KL at each token, and the next-token distributions at one. Records to Plotly."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from app.shared import numbers
from app.shared.style import INKS, Mark, Theme, dense_mark, template
from app.tryout.text_findings import shown
from core.records.continuations import Continuation, Place

_CHARS = 14  # of a token beside its bars


def divergences(found: Continuation, names: Sequence[str], marks: Sequence[Mark], cursor: int, *, theme: Theme = "light",
                height: int = 250) -> go.Figure:
    """KL(dense ‖ pruned) after the dense model's text, a line a pruned model; the token that is looked at as an upright line."""
    ink = INKS[theme]
    figure = go.Figure(layout={"template": template(theme), "height": height, "margin": {"l": 8, "r": 12, "t": 34, "b": 8}})
    places = list(range(1, len(found.places) + 1))
    for order, (name, mark) in enumerate(zip(names, marks, strict=True)):
        figure.add_trace(go.Scatter(
            x=places, y=[place.divergences[order] for place in found.places], name=name, mode="lines+markers", customdata=places,
            line={"color": mark.color, "dash": mark.dash, "width": 1.5}, marker={"color": mark.color, "symbol": mark.symbol, "size": 8},
            hovertemplate=[f"token {number}: {shown(place.token)}<br>KL {numbers.error(place.divergences[order])} nats<extra>{name}</extra>"
                           for number, place in zip(places, found.places, strict=True)]))
    figure.add_vline(x=cursor + 1, line={"color": ink.faint, "width": 1, "dash": "dot"})
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "xanchor": "left"},
        xaxis={"title": {"text": "token of the dense model's text"}, "range": [0.5, max(2, len(places)) + 0.5],
               "dtick": _step(len(places))},
        yaxis={"title": {"text": "KL(dense ‖ pruned), nats"}, "rangemode": "tozero"})
    return figure


def distributions(place: Place, names: Sequence[str], marks: Sequence[Mark], *, theme: Theme = "light", height: int = 330) -> go.Figure:
    """The most probable next tokens, one bar a model for each."""
    figure = go.Figure(layout={"template": template(theme), "height": height, "barmode": "group",
                               "margin": {"l": 8, "r": 12, "t": 34, "b": 8}})
    labels = [f"{shown(one.token)[:_CHARS]}{'…' * (len(shown(one.token)) > _CHARS)}" for one in place.candidates]
    patterns = ["", "/", ".", "x"]
    for order, (name, color) in enumerate(zip(["dense", *names], [dense_mark(theme).color, *(mark.color for mark in marks)], strict=True)):
        chances = [one.chances[order] for one in place.candidates]
        figure.add_trace(go.Bar(
            y=list(range(len(labels))), x=chances, name=name, orientation="h",
            marker={"color": color, "pattern": {"shape": patterns[order % len(patterns)], "fillmode": "overlay", "solidity": 0.2}},
            hovertemplate=[f"{shown(one.token)}: {numbers.percent(chance)}<extra>{name}</extra>"
                           for one, chance in zip(place.candidates, chances, strict=True)]))
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "xanchor": "left", "traceorder": "normal"},
        xaxis={"title": {"text": "probability of the next token"}, "tickformat": ".0%", "rangemode": "tozero", "showgrid": True},
        yaxis={"tickvals": list(range(len(labels))), "ticktext": labels, "autorange": "reversed", "showgrid": False})
    return figure


def _step(count: int) -> int:
    return 1 if count <= 24 else 5 if count <= 100 else 20
