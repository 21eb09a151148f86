"""A run as one point of a curve: what charts and sweeps need of a result, without its layers. No torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.records import Environment, Evaluated, Revisions, RunResult, Sizes, Speed
from core.records.size_speed import Interval
from core.spec import EVERY_METHOD, RunSpec
from core.spec.base import FrozenModel


class Worth(FrozenModel):
    """Bytes of a run's folder, and its model's throughput at one batch size: medians and intervals over the dense model's, measured in
    turn, and tokens a second."""

    folder_bytes: int
    device: str
    batch: int
    prefill: Interval
    decode: Interval
    prefill_rate: float
    decode_rate: float


class Point(FrozenModel):
    """A finished run. Times are wall seconds: `seconds` of the whole run, `solve_seconds` of the method alone, all layers."""

    spec: RunSpec
    revisions: Revisions
    dense: Evaluated
    pruned: Evaluated
    counted_sparsity: float
    median_error: float  # relative error of the layers
    median_gap: float | None  # None: not computed
    seconds: float
    solve_seconds: float
    peak_memory_bytes: int
    calibration: str
    environment: Environment
    key: str = ""  # of its run in the store; none where it was shipped
    parameters: int = 0  # of the dense model; 0: not recorded
    removed: int = 0  # of these, that are not there any more: zeros are there
    worth: Worth | None = None  # once measured

    @property
    def usual(self) -> bool:
        """True if the method's parameters are its defaults for this pattern."""
        return self.spec.method == EVERY_METHOD[self.spec.method.name]().resolved(self.spec.pattern)

    @property
    def asked(self) -> RunSpec:
        """Request of a point, wherever it was computed."""
        return asked_anywhere(self.spec)

    @property
    def machine(self) -> str:
        """Setting within which times can be compared: device and threads."""
        where = self.environment
        return where.device if "thread" in where.device else f"{where.device}, {where.threads} threads"


_USUAL = RunSpec()


def asked_anywhere(spec: RunSpec) -> RunSpec:
    """A request without its device, and without what changes nothing that a point shows."""
    return spec.model_copy(update={"device": "auto", "no_optimum": False})


@dataclass(frozen=True, kw_only=True)
class Matching:
    """Points that may stand in one chart, and what was left out of it."""

    points: tuple[Point, ...] = ()
    elsewhere: int = 0  # other texts, model or core version behind the same names
    outdated: int = 0  # an earlier version of their method
    foreign: bool = False  # the points themselves stand on other inputs than are here today


def ground(spec: RunSpec) -> RunSpec:
    """Common settings of the points of one chart: the run without method, pattern, seed and device, on its first evaluation text."""
    return _ground(spec)  # pyright: ignore[reportArgumentType]  (a frozen noun has a hash)


@lru_cache(maxsize=16_384)  # each page looks at all runs of the store
def _ground(spec: RunSpec) -> RunSpec:
    return spec.model_copy(update={"method": _USUAL.method, "pattern": _USUAL.pattern, "device": _USUAL.device, "further_evaluations": (),
                                   "no_optimum": _USUAL.no_optimum,
                                   "calibration": spec.calibration.model_copy(update={"seed": 0})})


def matching(points: Iterable[Point], base: RunSpec, today: Revisions | None) -> Matching:
    """The points with the model, texts, windows and arithmetic of `base`, and with the contents of today; where there are none,
    those with other contents, the most that agree with each other. The first of two of the same run on the same machine counts."""
    same = ground(base)
    groups: dict[tuple[object, ...], list[Point]] = {}
    for point in points:
        if ground(point.spec) == same:
            groups.setdefault((*_inputs(point.revisions), point.pruned.dtype), []).append(point)
    ours = {inputs: found for inputs, found in groups.items() if today is not None and inputs[:-1] == _inputs(today)}
    chosen = max((ours or groups).values(), key=len, default=[])
    current = [point for point in chosen if point.revisions.method == EVERY_METHOD[point.spec.method.name].version]
    unique = {(point.asked, point.machine): point for point in reversed(current)}
    return Matching(points=tuple(reversed(unique.values())), outdated=len(chosen) - len(current),
                    elsewhere=sum(map(len, groups.values())) - len(chosen), foreign=bool(chosen) and today is not None and not ours)


def _inputs(found: Revisions) -> tuple[object, ...]:
    return found.model, found.calibration, found.evaluation, found.core


def points_of(result: RunResult, key: str = "") -> tuple[Point, ...]:
    """The points of a result, one for each of its evaluation texts."""
    return tuple(point_of(text, key) for text in result.on_each_text)


def point_of(result: RunResult, key: str = "") -> Point:
    """The point of a result on its first evaluation text."""
    return Point(
        spec=result.spec, revisions=result.revisions, dense=result.dense, pruned=result.pruned,
        counted_sparsity=result.counted_sparsity, median_gap=result.median_gap,
        median_error=statistics.median(layer.relative_error for layer in result.layers), seconds=result.seconds,
        solve_seconds=result.stages.get("solve", 0.0), peak_memory_bytes=result.peak_memory_bytes, calibration=result.calibration,
        environment=result.environment, key=key, **_kept(result))


def _kept(result: RunResult) -> dict[str, Any]:
    """Parameters before and after, and what was measured of size and speed, where a result has them."""
    shape, size = result.shape, result.size
    parameters = shape.parameters if shape else size.parameters if size else 0
    worth = worth_of(size, result.speed) if size and result.speed else None
    return {"parameters": parameters, "removed": shape.removed if shape else 0, "worth": worth}


def worth_of(size: Sizes, speed: Speed) -> Worth | None:
    """A measurement at the least batch size; None of the dense model alone."""
    at = min(speed.points, key=lambda point: point.batch)
    prefill, decode = speed.ratio(at, "prefill"), speed.ratio(at, "decode")
    if prefill is None or decode is None:
        return None
    return Worth(folder_bytes=size.folder_bytes, device=speed.device, batch=at.batch, prefill=prefill, decode=decode,
                 prefill_rate=speed.rate(at, "prefill", "pruned").median, decode_rate=speed.rate(at, "decode", "pruned").median)


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
