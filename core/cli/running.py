"""One run of the command line: here, or on a scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.cli import remote
from core.cli.large_files import read_large_files
from core.cli.options import progress_bar
from core.records import Evaluated, Revisions, RunResult
from core.spec import RunSpec


def run(spec: RunSpec, *, journal: Any = None, dense: Evaluated | Sequence[Evaluated | None] | None = None,
        expected: Revisions | None = None, title: str = "", streaming: Any = None) -> RunResult:
    """Drain `prune` with a progress bar on a terminal; where PRUNESCOPE_SCHEDULER is set, have a worker do so."""
    from core.run.pipeline import prune

    read_large_files(spec)
    if remote.wanted():
        return remote.run(spec, journal=journal, expected=expected, title=title or spec.title)
    with progress_bar() as bar:
        task = bar.add_task(title or spec.title, total=1.0)
        for event in prune(spec, journal=journal, dense=dense, expected=expected, streaming=streaming):
            if event.kind == "progress":
                where = f" · block {event.block + 1} of {event.blocks} · {event.stage}" if event.blocks else " · loading"
                bar.update(task, completed=event.fraction, description=(title or spec.title) + where)
            elif event.kind == "finished":
                return event.result
    raise AssertionError("a run ends with its result")
