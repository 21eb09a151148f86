"""A run that is going on: where it is, the error so far, the time left, and the way to stop it. Polled only while it is active."""

from __future__ import annotations

import re
import time

from app.shared import layout, numbers
from app.workers.progress import RunProgress
from app.workers.waiting import Wait
from cache.records import RunRecord
from core.records import Progress

_WITHIN = re.compile(r"^.*?\.\d+\.")  # model.layers.3.mlp.up -> mlp.up: the block is said beside it
_SOON = 1.0  # seconds
_QUIET = 10.0  # seconds without a word, after which a page says so: a worker that was lost is replaced within about as long
STAGES = {"load": "Loading the model", "calibrate": "Reading the calibration text", "collect": "Collecting the layers' inputs",
          "solve": "Solving", "reconstruct": "Training the block's kept weights",
          "push": "Passing the text on to the next block", "evaluate": "Measuring perplexity",
          "room": "Waiting for room on the disk"}


def bar(record: RunRecord, progress: RunProgress, wait: Wait | None) -> tuple[float, str]:
    """Progress of a run (0 to 1), and its stage in words."""
    latest = progress.latest
    if record.state == "queued":
        return 0.0, wait_words(wait)
    if latest is None:
        return 0.0, "Starting"
    quiet = time.time() - progress.heard if progress.heard else 0.0
    silence = [f"nothing heard from its worker for {numbers.seconds(quiet)}; a lost one is replaced"] if quiet > _QUIET else []
    return min(1.0, max(0.0, latest.fraction)), " · ".join([*_where(latest, timed=not silence), *silence])


def wait_words(wait: Wait | None) -> str:
    """Place of a run that waits, and when it is expected to begin."""
    if wait is None:
        return "Waiting for a worker"
    if wait.paused:
        return "Paused: it keeps its turn, and waits until it is resumed on the Runs page"
    place = f"Waiting, number {wait.position} in the queue"
    if wait.queue_paused:
        return f"{place}, which is paused: resume it on the Runs page"
    if wait.no_worker:
        return f"{place}; it begins when there is a worker"
    if wait.seconds is None:
        return f"{place}; no estimate of when it begins, since no run of that model has been computed here"
    return f"{place}, begins {f'in about {numbers.seconds(wait.seconds)}' if wait.seconds >= _SOON else 'as soon as a worker is free'}"


def draw_problem(progress: RunProgress) -> None:
    """Draw why a queued run cannot begin, if no worker can be asked."""
    if progress.problem:
        layout.note(f"{progress.problem} What waits keeps its place, and goes on when they are there.", tone="bad")


def _where(latest: Progress, *, timed: bool) -> list[str]:
    """Block 4 of 6 · mlp.down_proj · 3 s left."""
    if latest.stage == "room":
        return [STAGES["room"], layout.plain(f"{latest.note or ''} The run goes on by itself when there is room.")]
    if latest.stage == "load" and latest.note:
        return [layout.plain(latest.note)]
    parts = [STAGES[latest.stage]]
    if latest.stage in ("collect", "solve", "reconstruct", "push"):
        parts.append(f"block {latest.block + 1} of {latest.blocks}")
    if latest.layer:
        parts.append(layout.plain(_WITHIN.sub("", latest.layer)))
    if timed:
        parts.append("estimating the time left" if latest.seconds_left is None else f"{numbers.seconds(latest.seconds_left)} left")
    return parts
