"""Runs that make a tiny model smaller."""

from __future__ import annotations

from pathlib import Path

from core.export.folder import MemoryJournal
from core.records import Finished, RunResult
from core.run.pipeline import prune
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern


def small_spec(folder: Path, method: str, pattern: str, **changes: object) -> RunSpec:
    """A run of the model in a folder, which holds its text as well."""
    source = f"windows:{folder / 'windows.npy'}"
    return RunSpec(model=folder.name, calibration=Calibration(source=source, windows=8), evaluation=Evaluation(source=source, windows=5),
                   method=make_method(method), pattern=parse_pattern(pattern), **changes)


def run(spec: RunSpec) -> tuple[RunResult, MemoryJournal]:
    journal = MemoryJournal()
    *_, last = prune(spec, journal=journal)
    assert isinstance(last, Finished)
    return last.result, journal
