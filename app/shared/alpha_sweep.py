"""A sweep over α: which questions it asks, and what their answers say once they are there. No torch, no Streamlit.

Three curves. `chosen`: the rows of most energy stay, with the α budget that was asked for. `random`: as many rows drawn at random,
several times. `equal` or `paper`: the rows of most energy with the other budget, where the pattern has two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from app.shared.questions.outliers import LayerPointQuestion, ModelPointQuestion
from core.evaluate.comparison import Difference, compare_seeds
from core.records import Evaluated
from core.records.outlier_rows import LayerPoint, ModelPoint
from core.spec import RunSpec
from core.spec.alphas import sweep_alphas, with_alpha

Kept = Literal["chosen", "random", "other"]
LAYER_DRAWS, MODEL_DRAWS = 5, 3
SEEDS = 3
WINDOWS = (None, 16, 64)  # evaluation windows of the points: a preview's, then more while the sign of the effect is not settled


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One value at one α: a layer's relative error, or a perplexity."""

    kept: Kept
    alpha: float
    value: float
    counted_sparsity: float
    seed: int
    draw: int | None = None
    evaluated: Evaluated | None = None  # of a perplexity: its windows, by which differences are paired


@dataclass(frozen=True, kw_only=True)
class Spot:
    """The mean of the readings at one α, the least and the greatest, and how many there are."""

    alpha: float
    mean: float
    low: float
    high: float
    counted_sparsity: float
    readings: int


def at(spec: RunSpec, alpha: float, budget: str | None = None, seed: int | None = None) -> RunSpec:
    """The spec with this α. Without outlier rows the budget does not matter, and is the usual one."""
    pattern = with_alpha(spec.pattern, alpha, "paper" if not alpha else budget)
    text = spec.calibration if seed is None else spec.calibration.model_copy(update={"seed": seed})
    return spec.model_copy(update={"pattern": pattern, "calibration": text, "random_rows": None})


def budgets(spec: RunSpec) -> tuple[str | None, str | None]:
    """The α budget that is asked for, and the other one; whole columns have one only."""
    budget = spec.pattern.budget
    return budget, None if budget is None else "iso" if budget == "paper" else "paper"


def alphas(spec: RunSpec, budget: str | None) -> tuple[float, ...]:
    """The α of a curve: the sweep's, and the one that is asked for."""
    mine = sweep_alphas(with_alpha(spec.pattern, 0.0, budget))
    return tuple(sorted({*mine, *((spec.pattern.outlier_rows,) if budget == budgets(spec)[0] else ())}))


def layer_questions(spec: RunSpec, layer: str) -> tuple[LayerPointQuestion, ...]:
    """The chosen curve with its random rows, then the other budget's."""
    mine, other = budgets(spec)
    asked = [LayerPointQuestion(spec=at(spec, alpha, mine), layer=layer, draws=LAYER_DRAWS) for alpha in alphas(spec, mine)]
    if other:
        asked += [LayerPointQuestion(spec=at(spec, alpha, other), layer=layer) for alpha in alphas(spec, other) if alpha]
    return tuple(asked)


def model_questions(spec: RunSpec, seeds: Iterable[int], windows: int | None = None) -> tuple[ModelPointQuestion, ...]:
    """Seed by seed; what says most comes first: α = 0, the α asked for, the curve, the other budget's, the random rows draw by draw."""
    mine, other = budgets(spec)
    order = sorted(alphas(spec, mine), key=lambda alpha: (alpha > 0, alpha != spec.pattern.outlier_rows, alpha))
    asked: list[ModelPointQuestion] = []
    for seed in seeds:
        asked += [ModelPointQuestion(spec=at(spec, alpha, mine, seed), windows=windows) for alpha in order]
        asked += [ModelPointQuestion(spec=at(spec, alpha, other, seed), windows=windows) for alpha in alphas(spec, other)
                  if alpha and other]
        asked += [ModelPointQuestion(spec=at(spec, alpha, mine, seed), draw=draw, windows=windows) for draw in range(MODEL_DRAWS)
                  for alpha in order if alpha]
    return tuple(asked)


def layer_readings(spec: RunSpec, answers: Iterable[tuple[LayerPointQuestion, LayerPoint]]) -> tuple[Reading, ...]:
    """Readings of the layer's points so far."""
    found: list[Reading] = []
    for question, point in answers:
        common = {"alpha": point.alpha, "counted_sparsity": point.counted_sparsity, "seed": question.spec.calibration.seed}
        found.append(Reading(kept=curve_of(spec, question.spec), value=point.error, **common))
        found += [Reading(kept="random", value=value, draw=draw, **common) for draw, value in enumerate(point.random)]
    return tuple(found)


def model_readings(spec: RunSpec, answers: Iterable[tuple[ModelPointQuestion, ModelPoint]],
                   scale: float = 1.0) -> tuple[Reading, ...]:
    """Readings of the model's points so far; `scale`: from perplexity on their windows to all (app/shared/estimates.py)."""
    return tuple(Reading(kept=curve_of(spec, question.spec) if question.draw is None else "random", alpha=point.alpha, draw=question.draw,
                         value=point.pruned.perplexity * scale, counted_sparsity=point.counted_sparsity,
                         seed=question.spec.calibration.seed, evaluated=point.pruned)
                 for question, point in answers)


def curve(readings: Sequence[Reading], kept: Kept, *, change: bool = False) -> tuple[Spot, ...]:
    """The spots of a curve by α. `change`: each value over its own seed's at α = 0, less 1. All curves begin at α = 0."""
    base = without(readings)
    groups: dict[float, list[Reading]] = {}
    for reading in readings:
        if (reading.kept == kept or not reading.alpha) and (not change or base.get(reading.seed)):
            groups.setdefault(reading.alpha, []).append(reading)
    if set(groups) <= {0.0} and kept != "chosen":
        return ()
    spots: list[Spot] = []
    for alpha, group in sorted(groups.items()):
        values = [reading.value / base[reading.seed] - 1 if change else reading.value for reading in group]
        spots.append(Spot(alpha=alpha, mean=fmean(values), low=min(values), high=max(values), readings=len(values),
                          counted_sparsity=fmean(reading.counted_sparsity for reading in group)))
    return tuple(spots)


def claim(readings: Sequence[Reading], alpha: float) -> tuple[Kept, float] | None:
    """The curve and the α that are compared with α = 0: the curve along which counted sparsity is most alike, which is equal unless
    rows and zeros come in too few whole numbers; α, or for α = 0 the best above it. None while there is nothing to compare."""
    kept: Kept = "chosen"
    if len(curve(readings, "other")) > 1 and not equal_sparsity(readings, "chosen"):
        kept = min(kept, "other", key=lambda one: _spread(readings, one))
    changes = {spot.alpha: spot.mean for spot in curve(readings, kept, change=True) if spot.alpha}
    start = curve(readings, kept)[:1]
    if not changes or not start or start[0].alpha:
        return None
    return kept, alpha if alpha in changes else min(changes, key=lambda one: changes[one])


def equal_sparsity(readings: Sequence[Reading], kept: Kept) -> bool:
    """True if counted sparsity is the same all along a curve, to half a percent."""
    return _spread(readings, kept) < 0.005


def _spread(readings: Sequence[Reading], kept: Kept) -> float:
    shares = [spot.counted_sparsity for spot in curve(readings, kept)]
    return max(shares) - min(shares) if shares else 0.0


def difference(readings: Sequence[Reading], kept: Kept, alpha: float, reference: float = 0.0) -> Difference | None:
    """The effect on perplexity of α, or of as many random rows, against another α of the curve: paired by window, each seed and draw
    with its own reference. None for readings that are no perplexities."""
    base = {reading.seed: reading.evaluated for reading in readings
            if reading.alpha == reference and (not reference or reading.kept == kept)}
    pairs = [(base[reading.seed], reading.evaluated) for reading in readings
             if reading.kept == kept and reading.alpha == alpha and reading.seed in base]
    known = [(one, other) for one, other in pairs if one is not None and other is not None]
    return compare_seeds(known) if len(known) == len(pairs) else None


def settled(readings: Sequence[Reading], alpha: float) -> bool:
    """True if the sign of what is claimed is known to two standard errors, or nothing is claimed."""
    found = claim(readings, alpha)
    effect = difference(readings, *found) if found else None
    return effect is None or effect.noise is None or not effect.tied


def without(readings: Sequence[Reading]) -> dict[int, float]:
    """The value at α = 0 of each seed."""
    return {reading.seed: reading.value for reading in readings if not reading.alpha}


def curve_of(spec: RunSpec, asked: RunSpec) -> Kept:
    """The curve that a spec of the sweep is a point of."""
    budget = asked.pattern.budget
    return "other" if asked.pattern.outlier_rows and budget != budgets(spec)[0] else "chosen"
