"""Points as series: runs that differ in their seed alone are one spot, with what they spread over. Pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from app.shared import numbers
from app.shared.link import to_words
from app.shared.sweeps.points import Point
from core.spec import EVERY_METHOD, METHOD_LABELS, RunSpec
from core.spec.patterns import KINDS, SemiStructured, pattern_word

Measure = Callable[[Point], float]
_EQUAL = 0.005  # counted sparsities that differ less are equal: entries are whole


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Runs that differ in their seed alone, at one place of a curve."""

    x: float
    points: tuple[Point, ...]

    def value(self, measure: Measure) -> float:
        """The median over the seeds."""
        return statistics.median(measure(point) for point in self.points)

    def range(self, measure: Measure) -> tuple[float, float]:
        """The least and the greatest of the seeds."""
        values = [measure(point) for point in self.points]
        return min(values), max(values)

    def middle(self, measure: Measure) -> Point:
        """The run that is nearest the median."""
        wanted = self.value(measure)
        return min(self.points, key=lambda point: abs(measure(point) - wanted) if math.isfinite(measure(point)) else math.inf)


@dataclass(frozen=True, kw_only=True)
class Series:
    """A curve: one method (under one α budget), its spots from left to right."""

    method: str
    spots: tuple[Spot, ...]
    budget: str = ""
    name: str = ""  # in place of the method's

    @property
    def label(self) -> str:
        return self.name or METHOD_LABELS[self.method] + (f", {self.budget}" if self.budget else "")


def perplexity(point: Point) -> float:
    return point.pruned.perplexity


def median_error(point: Point) -> float:
    return point.median_error


def counted(point: Point) -> float:
    return point.counted_sparsity


def left(point: Point) -> float:
    """Share of the pruned layers' weights that is neither zero nor gone."""
    return 1 - point.counted_sparsity


def prefill(point: Point) -> float:
    """Measured throughput of prompts over the dense model's; NaN where there is none."""
    return point.worth.prefill.median if point.worth else math.nan


def decode(point: Point) -> float:
    """Measured throughput of generated tokens over the dense model's; NaN where there is none."""
    return point.worth.decode.median if point.worth else math.nan


def by_kind(points: Sequence[Point], x: Measure) -> tuple[Series, ...]:
    """One series a kind of pattern and method, in the order of lists."""
    return tuple(one for kind, pattern in KINDS.items()
                 for one in series_of([point for point in points if point.spec.pattern.kind == kind], x, pattern.label))


def series_of(points: Iterable[Point], x: Measure, budget: str = "") -> tuple[Series, ...]:
    """One series a method, in the order of lists."""
    spots: dict[str, dict[RunSpec, list[Point]]] = {}
    for point in points:
        seedless = point.asked.model_copy(update={"calibration": point.spec.calibration.model_copy(update={"seed": 0})})
        spots.setdefault(point.spec.method.name, {}).setdefault(seedless, []).append(point)
    return tuple(Series(method=method, budget=budget, spots=tuple(sorted(
        (Spot(x=statistics.median(map(x, same)), points=tuple(same)) for same in spots[method].values()),
        key=lambda spot: spot.x))) for method in EVERY_METHOD if method in spots)


def falls(series: Series) -> bool:
    """True if counted sparsity changes along a series: its ends are then not comparable."""
    shares = [spot.value(counted) for spot in series.spots]
    return max(shares) - min(shares) > _EQUAL


def pareto(spots: Sequence[Spot], measure: Measure, limit: float = math.inf) -> list[Spot]:
    """The spots that no other beats in both time and measure, from the quickest on."""
    front: list[Spot] = []
    for spot in sorted(spots, key=lambda spot: (spot.x, spot.value(measure))):
        value = spot.value(measure)
        if math.isfinite(value) and value <= limit and (not front or value < front[-1].value(measure)):
            front.append(spot)
    return front


def patterns_in_order(series: Iterable[Series]) -> tuple[str, ...]:
    """The n:m patterns of some series, by sparsity, then by group."""
    found = dict.fromkeys(spot.points[0].spec.pattern for one in series for spot in one.spots)
    words = [pattern for pattern in found if isinstance(pattern, SemiStructured)]
    return tuple(pattern_word(pattern) for pattern in sorted(words, key=lambda pattern: (pattern.n / pattern.m, pattern.m)))


def opens(point: Point) -> str:
    """The words of a link that opens this run, or its settings where it was shipped."""
    return urlencode({"run": point.key} if point.key else {"method": point.spec.method.name, **to_words(point.spec)})


def spread(spot: Spot, measure: Measure = perplexity) -> str:
    """`one seed`, or `median of 3 seeds, 30.10 to 30.25`."""
    if len(spot.points) == 1:
        return f"one seed ({spot.points[0].spec.calibration.seed})"
    low, high = spot.range(measure)
    form = numbers.perplexity if measure is perplexity else numbers.error
    return f"median of {len(spot.points)} seeds, {form(low)} to {form(high)}"
