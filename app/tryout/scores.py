"""Scores that the page shows: those of the store, and those that are shipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.shared import resources
from app.shared.scored_runs import shipped_scores
from app.tryout.query import Asked
from cache.keys import run_key
from cache.scores import Scoring, task_label
from core.records import TaskScores
from core.spec import RunSpec


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
