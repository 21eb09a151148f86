"""Runs that were scored on the embedded text's task: those of the store, and those that are shipped."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import streamlit as st
from pydantic import ValidationError

from app.shared import layout, numbers, resources
from app.shared.charts.accuracy import ScoredPoint, accuracy_curve
from app.shared.findings.accuracy import accuracy_finding
from app.shared.plot import plot
from app.shared.shipped import GALLERY
from app.shared.style import chart_config
from app.shared.sweeps.points import ground
from core.evaluate.embedded_task import NAME
from core.records import RunResult
from core.spec import RunSpec

_HEIGHT = 380
SHIPPED = GALLERY / "scored.jsonl"


def draw_curve(model: str, metric: str = "acc") -> None:
    """Accuracy over sparsity of every scored run of a model on any weights, or how to come by one."""
    draw_points(curve_points(model, metric), metric, "Every scored run of this model on any weights is shown.")


def draw_points(points: Sequence[ScoredPoint], metric: str, shown: str, *, charts: bool = True) -> None:
    """Accuracy over sparsity of these runs, which are `shown`; where there are none, how to come by one. Without `charts` their place
    is left."""
    if not points:
        layout.sentence(f"Runs of this model that are scored on {NAME} appear here, accuracy against counted sparsity. Score them on the "
                        "page Try it out.")
        return
    finding = accuracy_finding(points, metric)
    layout.sentence(finding)
    if charts:
        plot(accuracy_curve(points, metric, theme=layout.theme(), height=_HEIGHT), key="accuracy-curve",
             config=chart_config("accuracy-over-sparsity"), alt=f"Accuracy on {NAME} over sparsity, {len(points)} runs. {finding}")
    else:
        st.container(height=_HEIGHT, border=False)
    layout.aside(f"{NAME}, {numbers.plural(points[0].scores.examples, 'example')}: which of four words ends a sentence of Python's "
                 "documentation; guessing is right in a quarter. Bars: one standard error of the difference to the dense model on the same "
                 f"examples. {shown}")


def curve_points(model: str, metric: str = "acc", like: RunSpec | None = None) -> list[ScoredPoint]:
    """Runs of this model on any weights that have scores on the embedded text's task, on the same examples. With `like` those alone that
    differ from it in method, pattern, seed, device and evaluation."""
    store = resources.store()
    mine = [result.model_copy(update={"tasks": store.scores.of_run(key)}) for key in store.scores.runs() if (result := store.result(key))]
    points = [ScoredPoint(spec=result.spec, counted_sparsity=result.counted_sparsity, scores=result.tasks[NAME])
              for result in (*mine, *shipped_scores()) if result.tasks and NAME in result.tasks and result.spec.model == model
              and result.spec.pattern.kind == "unstructured" and metric in result.tasks[NAME].scores
              and (like is None or _settings(result.spec) == _settings(like))]
    content = points[0].scores.content if points else ""
    return list({point.spec.model_dump_json(): point for point in reversed(points) if point.scores.content == content}.values())


def _settings(spec: RunSpec) -> RunSpec:
    """Settings that decide scores beside method, pattern and seed."""
    return ground(spec).model_copy(update={"evaluation": RunSpec().evaluation})


@st.cache_resource(show_spinner=False)
def shipped_scores() -> tuple[RunResult, ...]:
    """Runs of the demo model with their scores, computed by this code; without their layers."""
    try:
        return tuple(RunResult.model_validate_json(line) for line in SHIPPED.read_text(encoding="utf-8").splitlines())
    except (OSError, ValidationError):
        logging.getLogger(__name__).warning("not scores of this version: %s", SHIPPED)
        return ()
