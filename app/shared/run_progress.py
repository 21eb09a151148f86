"""A run that is going on: where it is, the error so far, the time left, and the way to stop it. Polled only while it is active."""

from __future__ import annotations

import re
import time

from app.shared import layout, numbers
from app.workers.progress import RunProgress
from cache.records import RunRecord
from core.records import Progress

_WITHIN = re.compile(r"^.*?\.\d+\.")  # model.layers.3.mlp.up -> mlp.up: the block is said beside it
_QUIET = 10.0  # seconds without a word, after which a page says so: a worker that was lost is replaced within about as long
STAGES = {"load": "Loading the model", "calibrate": "Reading the calibration text", "collect": "Collecting the layers' inputs",
          "solve": "Solving", "push": "Passing the text on to the next block", "evaluate": "Measuring perplexity",
          "room": "Waiting for room on the disk"}


def bar(record: RunRecord, progress: RunProgress, position: int | None) -> tuple[float, str]:
    """Progress of a run (0 to 1), and its stage in words."""
    latest = progress.latest
    if record.state == "queued":
        return 0.0, f"Waiting, number {position} in the queue" if position else "Waiting for a worker"
    if latest is None:
        return 0.0, "Starting"
    quiet = time.time() - progress.heard if progress.heard else 0.0
    silence = [f"nothing heard from its worker for {numbers.seconds(quiet)}; a lost one is replaced"] if quiet > _QUIET else []
    return min(1.0, max(0.0, latest.fraction)), " · ".join([*_where(latest, timed=not silence), *silence])


def draw_problem(progress: RunProgress) -> None:
    """Draw why a queued run cannot begin, if no worker can be asked."""
    if progress.problem:
        layout.note(f"{progress.problem} What waits keeps its place, and goes on when they are there.", tone="bad")


def _where(latest: Progress, *, timed: bool) -> list[str]:
    """Block 4 of 6 · mlp.down_proj · 3 s left."""
    if latest.stage == "room":
        return [STAGES["room"], layout.plain(f"{latest.note or ''} The run goes on by itself when there is room.")]
    parts = [STAGES[latest.stage]]
    if latest.stage in ("collect", "solve", "push"):
        parts.append(f"block {latest.block + 1} of {latest.blocks}")
    if latest.layer:
        parts.append(layout.plain(_WITHIN.sub("", latest.layer)))
    if timed:
        parts.append("estimating the time left" if latest.seconds_left is None else f"{numbers.seconds(latest.seconds_left)} left")
    return parts
