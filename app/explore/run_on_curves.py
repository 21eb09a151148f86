"""Beside a run's layers: where it stands among all that was computed under the same protocol, perplexity against counted sparsity."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from app.shared import layout, numbers
from app.shared.chart_downloads import take_away
from app.shared.charts.perplexity_curves import add_choice, sparsity_curves
from app.shared.findings import wording
from app.shared.plot import plot
from app.shared.style import chart_config
from app.shared.sweeps import stored
from app.shared.sweeps.points import Point
from app.shared.sweeps.series import counted, series_of
from app.shared.sweeps.tables import point_rows
from core.records import Evaluated
from core.spec import RunSpec

_LEAST = 3  # points that make a curve worth its place


def draw_pair(draw_layers: Callable[[], None], spec: RunSpec, *, dense: Evaluated, sparsity: float, perplexity: float, name: str,
              height: int) -> None:
    """The layers' chart, and beside it the curves with the present choice; the layers alone where there is no curve to stand in."""
    points = _points(spec)
    if len(points) < _LEAST or points[0].dense.protocol != dense.protocol:
        draw_layers()
        return
    key = f"pair-{name.replace(' ', '-')}"
    with st.container(key=key):
        left, right = st.columns([1.62, 1], gap="small")
        with left:
            draw_layers()
        with right:
            series = series_of(points, counted)
            figure = sparsity_curves(series, dense, theme=layout.theme(), height=height, choice=(sparsity, perplexity))
            figure.update_layout(margin={"t": 92}, title={
                "text": "Where it stands: perplexity", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 6, "l": 2}})
            add_choice(figure, series, dense, spec, sparsity, perplexity, theme=layout.theme(), label=name)
            plot(figure, key=f"beside-{key}", config=chart_config("perplexity-against-sparsity"),
                            alt=f"Perplexity against counted sparsity. {wording.describe(spec)}: "
                                f"{numbers.perplexity(perplexity)} at {numbers.percent(sparsity)}.")
            take_away(f"{key}-curves", partial(point_rows, points), (
                f"evaluation: {dense.protocol}", f"{name}: {spec.title}, perplexity {perplexity!r} at counted sparsity {sparsity!r}"))


def _points(spec: RunSpec) -> list[Point]:
    """Runs of the same kind of pattern with their methods' usual parameters, no outlier rows: what the Curves page shows first."""
    found: dict[RunSpec, Point] = {}
    for point in stored.points_like(spec):
        if point.usual and point.spec.pattern.kind == spec.pattern.kind and not point.spec.pattern.outlier_rows:
            found.setdefault(point.asked, point)
    return list(found.values())
