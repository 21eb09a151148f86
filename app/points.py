"""A run as one point of a curve: what charts and sweeps need of a result, without its layers. No torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from core.noun import Noun
from core.records import Environment, Evaluated, Revisions, RunResult
from core.spec import RunSpec, make_method


class Point(Noun):
    """A finished run. Times are wall seconds: `seconds` of the whole run, `solve_seconds` of the method alone, all layers."""

    spec: RunSpec
    revisions: Revisions
    dense: Evaluated
    pruned: Evaluated
    counted_sparsity: float
    median_error: float  # relative error of the layers
    median_gap: float
    seconds: float
    solve_seconds: float
    peak_memory_bytes: int
    calibration: str
    environment: Environment

    @property
    def usual(self) -> bool:
        """Whether the method's parameters are its defaults for this pattern."""
        return self.spec.method == make_method(self.spec.method.name).resolved(self.spec.pattern)

    @property
    def machine(self) -> str:
        """What times can be compared within: device and threads."""
        where = self.environment
        return where.device if "thread" in where.device else f"{where.device}, {where.threads} threads"


def point_of(result: RunResult) -> Point:
    """The point of a result."""
    return Point(
        spec=result.spec, revisions=result.revisions, dense=result.dense, pruned=result.pruned,
        counted_sparsity=result.counted_sparsity, median_gap=result.median_gap,
        median_error=statistics.median(layer.relative_error for layer in result.layers), seconds=result.seconds,
        solve_seconds=result.stages.get("solve", 0.0), peak_memory_bytes=result.peak_memory_bytes, calibration=result.calibration,
        environment=result.environment)


def read_points(file: Path) -> tuple[Point, ...]:
    """The points of a file, one JSON object a line; what this version cannot read is left out, and so is a file that is not there."""
    found: list[Point] = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            found.append(Point.model_validate_json(line))
        except ValidationError:
            continue
    return tuple(found)


def write_points(file: Path, points: Iterable[Point]) -> None:
    """Whole or not at all."""
    part = file.with_name(f"{file.name}.part")
    part.write_text("".join(f"{point.model_dump_json()}\n" for point in points), encoding="utf-8")
    part.replace(file)
