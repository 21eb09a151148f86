"""Kinds of jobs, and the task of each: a function of a run's key and the attempt, on the store that `open_store` gives. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.workers import collecting, exporting, guiding, measuring, queue, scoring, tasks

TASKS: Mapping[str, Callable[[str, float], None]] = {
    queue.RUN: tasks.run, "score": scoring.score, "export": exporting.export, "measure": measuring.measure,
    "collect": collecting.collect, "guide": guiding.guide}
