"""Runs that were scored on the embedded text's task: those of the store, and those that are shipped."""

from __future__ import annotations

import logging

import streamlit as st
from pydantic import ValidationError

from app.shared import layout, numbers, resources
from app.shared.charts.accuracy import ScoredPoint, accuracy_curve
from app.shared.plot import plot
from app.shared.shipped import GALLERY
from app.shared.style import chart_config
from core.evaluate.embedded_task import NAME
from core.records import RunResult

SHIPPED = GALLERY / "scored.jsonl"


def draw_curve(model: str, metric: str = "acc") -> None:
    """Accuracy over sparsity of every scored run of a model on any weights, or how to come by one."""
    points = curve_points(model, metric)
    if not points:
        layout.sentence(f"Runs of this model that are scored on {NAME} appear here, accuracy against counted sparsity. Score them on the "
                        "page Try it out.")
        return
    plot(accuracy_curve(points, metric, theme=layout.theme()), key="accuracy-curve", config=chart_config("accuracy-over-sparsity"),
         alt=f"Accuracy on {NAME} over sparsity, {len(points)} runs")
    layout.aside(f"{NAME}, {numbers.plural(points[0].scores.examples, 'example')}: which of four words ends a sentence of Python's "
                 "documentation. Bars are one standard error. Every scored run of this model on any weights is shown.")


def curve_points(model: str, metric: str = "acc") -> list[ScoredPoint]:
    """Runs of this model on any weights that have scores on the embedded text's task, on the same examples."""
    store = resources.store()
    mine = [result.model_copy(update={"tasks": store.scores.of_run(key)}) for key in store.scores.runs() if (result := store.result(key))]
    points = [ScoredPoint(spec=result.spec, counted_sparsity=result.counted_sparsity, scores=result.tasks[NAME])
              for result in (*mine, *shipped_scores()) if result.tasks and NAME in result.tasks and result.spec.model == model
              and result.spec.pattern.kind == "unstructured" and metric in result.tasks[NAME].scores]
    content = points[0].scores.content if points else ""
    return list({point.spec.model_dump_json(): point for point in reversed(points) if point.scores.content == content}.values())


@st.cache_resource(show_spinner=False)
def shipped_scores() -> tuple[RunResult, ...]:
    """Runs of the demo model with their scores, computed by this code; without their layers."""
    try:
        return tuple(RunResult.model_validate_json(line) for line in SHIPPED.read_text(encoding="utf-8").splitlines())
    except (OSError, ValidationError):
        logging.getLogger(__name__).warning("not scores of this version: %s", SHIPPED)
        return ()
