"""Scores that the page shows: those of the store, and those that are shipped."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st
from pydantic import ValidationError

from app.shared import resources
from app.shared.shipped import GALLERY
from app.tryout.charts import ScoredPoint
from app.tryout.query import Asked
from cache.keys import run_key
from cache.scores import Scoring, task_label
from core.evaluate.embedded_task import NAME
from core.records import RunResult, TaskScores
from core.spec import RunSpec

SHIPPED = GALLERY / "scored.jsonl"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Known scores of a run. `others`: scored too, and not asked for."""

    key: str
    tasks: Mapping[str, TaskScores]
    missing: tuple[str, ...]
    scoring: Scoring | None
    shipped: bool


def look(spec: RunSpec, asked: Asked) -> Seen:
    """Raises BadInput for a model or text that is not there."""
    key = resources.jobs().key(spec)
    kept = resources.store().scores
    stored = kept.of_run(key)
    shipped = next((result.tasks or {} for result in shipped_scores() if run_key(result.spec, result.revisions) == key), {})
    known = {**shipped, **stored}
    labels = {name: task_label(name, asked.limit) for name in asked.tasks}
    found = {label: known[label] for label in labels.values() if label in known}
    return Seen(key=key, tasks=found, missing=tuple(name for name, label in labels.items() if label not in known),
                scoring=kept.requests.read(key), shipped=bool(found) and not any(label in stored for label in found))


def curve_points(spec: RunSpec, metric: str) -> list[ScoredPoint]:
    """Runs of this model on any weights that have scores on the embedded text's task, on the same examples."""
    store = resources.store()
    mine = [result.model_copy(update={"tasks": store.scores.of_run(key)}) for key in store.scores.runs() if (result := store.result(key))]
    points = [ScoredPoint(spec=result.spec, counted_sparsity=result.counted_sparsity, scores=result.tasks[NAME])
              for result in (*mine, *shipped_scores()) if result.tasks and NAME in result.tasks and result.spec.model == spec.model
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
