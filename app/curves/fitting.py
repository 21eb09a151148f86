"""Runs of a sweep that the model cannot have: asked of their plans, before they are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.shared import resources
from core.spec import RunSpec


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """Missing runs that can be computed, reasons why others cannot, and whether plans are still being made."""

    specs: tuple[RunSpec, ...]
    reasons: tuple[str, ...] = ()
    planning: bool = False


def fitting(missing: Sequence[RunSpec]) -> Fitting:
    """One plan for each pattern whose structures really go, and one for all others: it tells what the model or its memory refuses."""
    chosen: dict[str, RunSpec] = {}
    for spec in missing:
        chosen.setdefault(_sort(spec), spec)
    plans = {sort: resources.jobs().plan(spec) for sort, spec in chosen.items()}
    refused = {sort: plan.error or "No reason was recorded." for sort, plan in plans.items() if plan.state == "failed" and plan.refused}
    return Fitting(specs=tuple(spec for spec in missing if _sort(spec) not in refused), reasons=tuple(dict.fromkeys(refused.values())),
                   planning=any(plan.state == "computing" for plan in plans.values()))


def _sort(spec: RunSpec) -> str:
    return spec.pattern.word if spec.pattern.shrinks else ""
