"""Runs side by side over what is left and over measured speed: zeros beside models that are really smaller."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from app.compare.query import SHIPPED, Choice
from app.shared import layout, numbers
from app.shared.chart_downloads import take_away
from app.shared.charts.shapes import MEASURES, OVERS, Over, shape_curves
from app.shared.comparison import Compared
from app.shared.findings.cautions import same_evaluation
from app.shared.markup import table
from app.shared.plot import plot
from app.shared.style import chart_config
from app.shared.sweeps.points import Point, point_of
from app.shared.sweeps.series import Series, Spot
from app.shared.sweeps.stored import with_measurements
from app.shared.sweeps.tables import point_rows

_HEIGHT = 360
_KEY = "compared-over"


def draw(choice: Choice, runs: Sequence[Compared]) -> None:
    """The table of sizes and speeds, and the chart where perplexities can be compared."""
    words = ["" if run.word.startswith(SHIPPED) else run.word for run in choice.runs]
    points = with_measurements([point_of(run.result, word) for run, word in zip(runs, words, strict=True)])
    st.html(f"<div class='ps-wide'>{table([run.label for run in runs], _rows(points))}</div>")
    if any(point.worth is None for point in points):
        layout.aside("Speed is measured run by run: Explore, Size and speed.")
    if not same_evaluation(runs):
        layout.note("Perplexities that were not measured alike cannot stand on one chart.")
        return
    over: Over = st.segmented_control("Across", list(OVERS), key=_KEY, format_func=OVERS.__getitem__, required=True, default="parameters",
                                label_visibility="collapsed", persist_state="session") or "parameters"
    _draw_chart(points, runs, over)


def _draw_chart(points: Sequence[Point], runs: Sequence[Compared], over: Over) -> None:
    pairs = [(point, run) for point, run in zip(points, runs, strict=True) if over == "parameters" or point.worth is not None]
    if not pairs:
        layout.note("No run here has a measured speed yet.")
        return
    series = [Series(method=run.result.spec.method.name, name=run.label, spots=(Spot(x=MEASURES[over](point), points=(point,)),))
              for point, run in pairs]
    figure = shape_curves(series, points[0].dense, over=over, theme=layout.theme(), height=_HEIGHT, marks=[run.mark for _, run in pairs])
    plot(figure, key="compared-shapes", config=chart_config("compared-shapes"),
         alt=f"Perplexity against {OVERS[over].lower()} of {numbers.plural(len(pairs), 'run')}.")
    take_away("compared-shapes", partial(point_rows, [point for point, _ in pairs]), (f"evaluation: {points[0].pruned.protocol}",))


def _rows(points: Sequence[Point]) -> list[tuple[str, list[str]]]:
    """Rows of the table: parameters left and really gone, bytes and speed, by run."""
    rows = [
        ("Perplexity", [numbers.perplexity(point.pruned.perplexity) for point in points]),
        ("Left of the pruned layers", [numbers.percent(1 - point.counted_sparsity) for point in points]),
        ("Parameters gone", ["none: zeros" if not point.removed else f"{numbers.count(point.removed)} of {numbers.count(point.parameters)}"
                             for point in points])]
    if not any(point.worth for point in points):
        return rows
    return [*rows, ("Folder", [numbers.size(point.worth.folder_bytes) if point.worth else "–" for point in points]),
            *((f"{stage.capitalize()}, over dense", [_speed(point, stage) for point in points]) for stage in ("prefill", "decode"))]


def _speed(point: Point, stage: str) -> str:
    if point.worth is None:
        return "–"
    ratio, rate = ((point.worth.prefill, point.worth.prefill_rate) if stage == "prefill" else
                   (point.worth.decode, point.worth.decode_rate))
    return (f"{numbers.times(ratio.median)} ({numbers.times(ratio.low)} to {numbers.times(ratio.high)}), "
            f"{numbers.count(round(rate))} tokens/s")
