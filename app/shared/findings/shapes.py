"""Findings of zeros beside shapes that shrink, in sentences computed from the points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from app.shared import numbers
from app.shared.charts.shapes import Over
from app.shared.sweeps.series import Series, Spot, perplexity
from core.records import Evaluated
from core.spec.patterns import KINDS

_BEARABLE = 1.1  # times the dense perplexity
_NEAR = 1e-9


def shape_finding(series: Sequence[Series], dense: Evaluated, over: Over) -> str:
    """Cost of each series at one common amount left; over speed, the fastest at a bearable price and at any."""
    if not series:
        return ""
    return _at_equal_size(series, dense) if over == "parameters" else _by_speed(series, dense, over)


def _at_equal_size(series: Sequence[Series], dense: Evaluated) -> str:
    """Perplexities at the least share that all series reach, between neighboring points."""
    spans = [(one, spots) for one in series if (spots := _lowest(one))]
    if len(spans) < 2:
        return ""
    level = max(min(spots) for _, spots in spans)
    costs = sorted((_between({**spots, 1.0: dense.perplexity}, level), place, one) for place, (one, spots) in enumerate(spans))
    told = ", ".join(f"{one.label} {numbers.perplexity(cost)}" for cost, _, one in costs)
    return (f"With {numbers.percent(level)} of the pruned layers' parameters left, the least that all have: {told}; dense "
            f"{numbers.perplexity(dense.perplexity)} (on the line between computed points).{_smaller([one for one, _ in spans])}")


def _lowest(one: Series) -> dict[float, float]:
    """Perplexity by place; of several patterns at one place the lowest."""
    found: dict[float, float] = {}
    for spot in one.spots:
        value = spot.value(perplexity)
        if math.isfinite(value) and math.isfinite(spot.x):
            found[spot.x] = min(value, found.get(spot.x, math.inf))
    return found


def _between(values: Mapping[float, float], level: float) -> float:
    """Value at `level`, on the straight line in its logarithm between the neighboring places."""
    after = min(place for place in values if place >= level - _NEAR)
    before = max((place for place in values if place < after and place <= level), default=after)
    share = 1.0 if after == before else min(1.0, (level - before) / (after - before))
    return math.exp((1 - share) * math.log(values[before]) + share * math.log(values[after]))


def _smaller(series: Sequence[Series]) -> str:
    """A sentence on which of them are really smaller."""
    zeros = [one for one in series if not _shrinks(one)]
    if not zeros or len(zeros) == len(series):
        return ""
    units = list(dict.fromkeys(one.spots[0].points[0].spec.pattern.unit for one in series if _shrinks(one)))
    return f" Zeros leave folder and speed as they were; without {' or '.join(units)} the model really is smaller."


def _by_speed(series: Sequence[Series], dense: Evaluated, over: Over) -> str:
    """The fastest model at a bearable price and at any, and the speed of zeros."""
    every = [(spot, one) for one in series for spot in one.spots]
    bearable = [entry for entry in every if entry[0].value(perplexity) <= _BEARABLE * dense.perplexity]
    said = [f"Fastest: {_named(*max(every, key=lambda entry: entry[0].x), over)}."]
    if bearable:
        best = max(bearable, key=lambda entry: entry[0].x)
        said.append(f"Within {100 * (_BEARABLE - 1):.0f} % of the dense perplexity: {_named(*best, over)}.")
    zeros = [spot.x for spot, one in every if not _shrinks(one)]
    if zeros:
        span = dict.fromkeys(numbers.times(value) for value in (min(zeros), max(zeros)))
        said.append(f"Models with zeros alone: {' to '.join(span)} the dense model's speed.")
    return " ".join(said)


def _named(spot: Spot, one: Series, over: Over) -> str:
    point = spot.middle(perplexity)
    noise = [found.prefill if over == "prefill" else found.decode for found in (point.worth,) if found]
    span = f" ({numbers.times(noise[0].low)} to {numbers.times(noise[0].high)})" if noise else ""
    return (f"{one.label} with {numbers.percent(1 - point.counted_sparsity)} left, {numbers.times(spot.x)} the dense model's speed{span} "
            f"at perplexity {numbers.perplexity(spot.value(perplexity))}")


def _shrinks(one: Series) -> bool:
    return KINDS[one.spots[0].points[0].spec.pattern.kind].shrinks
