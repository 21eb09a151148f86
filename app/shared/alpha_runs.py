"""Finished runs along a sweep over α: those there are, and those that settle on all windows what a preview cannot."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from pydantic import ValidationError

from app.shared import alpha_sweep, resources
from app.shared.alpha_sweep import MODEL_DRAWS, Reading
from app.shared.sweeps.points import Point, asked_anywhere, matching
from app.shared.sweeps.stored import candidates, revisions_today
from cache.keys import run_key
from cache.records import RunRecord
from core.records import Revisions
from core.spec import RunSpec
from core.spec.alphas import with_alpha


@dataclass(frozen=True, kw_only=True)
class AlphaRuns:
    """`readings` of finished runs; specs that are `missing` of the pairs asked for, records of those `active`; `seconds` one run takes."""

    readings: tuple[Reading, ...]
    missing: tuple[RunSpec, ...]
    active: tuple[RunRecord, ...]
    seconds: float | None


def look(spec: RunSpec, alpha: float, seeds: tuple[int, ...]) -> AlphaRuns:
    """The finished runs of a sweep, and what is missing to tell α from none and from random rows at equal counted sparsity."""
    today = revisions_today(spec)[0]
    points = _points(spec, today)
    done = [asked_anywhere(point.spec) for point in points]
    missing = [one for one in pairs(spec, alpha, seeds) if asked_anywhere(one) not in done] if alpha else []
    records = {one: None if today is None else resources.store().record(run_key(one, today)) for one in missing}
    return AlphaRuns(
        readings=tuple(_reading(spec, point) for point in points),
        missing=tuple(one for one, record in records.items() if record is None or not record.active),
        active=tuple(record for record in records.values() if record is not None and record.active),
        seconds=median(point.seconds for point in points) if points else None)


def pairs(spec: RunSpec, alpha: float, seeds: tuple[int, ...]) -> tuple[RunSpec, ...]:
    """Runs without outlier rows, with the strongest and with random ones, draw by draw, at equal counted sparsity; seed by seed."""
    found: list[RunSpec] = []
    for seed in seeds:
        kept = alpha_sweep.at(spec, alpha, _equal(spec, alpha), seed)
        random = (kept.model_copy(update={"random_rows": draw}) for draw in range(MODEL_DRAWS))
        found += [alpha_sweep.at(spec, 0.0, seed=seed), kept, *random]
    return tuple(found)


def _equal(spec: RunSpec, alpha: float) -> str | None:
    """The α budget of equal counted sparsity; the spec's own where the pattern has no such α: n:m has it at a few alone."""
    budget = spec.pattern.budget
    try:
        return None if budget is None else with_alpha(spec.pattern, alpha, "iso").budget
    except ValidationError:
        return budget


def _points(spec: RunSpec, today: Revisions | None) -> list[Point]:
    """Points of this method and pattern at any α and seed, with the strongest rows, or at equal sparsity with a draw of random ones."""
    bases = [spec.model_copy(update={"random_rows": draw}) for draw in (None, *range(MODEL_DRAWS))]
    known = candidates(*bases)
    found = [point for base in bases for point in matching(known, base, today).points]
    return [point for point in found if _along(point.spec) == _along(spec)
            and (point.spec.random_rows is None or point.spec.pattern.budget in (None, "iso"))]


def _along(spec: RunSpec) -> tuple[object, ...]:
    """Method and pattern, which stay along a sweep over α."""
    return spec.method.resolved(spec.pattern), with_alpha(spec.pattern, 0.0, "paper")


def _reading(spec: RunSpec, point: Point) -> Reading:
    draw = point.spec.random_rows
    kept = alpha_sweep.curve_of(spec, point.spec) if draw is None else "random"
    return Reading(kept=kept, alpha=point.spec.pattern.outlier_rows, draw=draw, value=point.pruned.perplexity,
                   counted_sparsity=point.counted_sparsity, seed=point.spec.calibration.seed, evaluated=point.pruned)
