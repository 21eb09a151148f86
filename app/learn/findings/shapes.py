"""Points and exercises about zeros and shapes that shrink."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.learn.findings.common import Exercise
from app.shared import numbers
from app.shared.sweeps.grid import SHAPE_METHODS, SHAPE_PATTERNS
from app.shared.sweeps.points import Point
from app.shared.sweeps.series import by_kind, left, perplexity
from core.spec import parse_pattern

_BEARABLE = 1.1  # times the dense perplexity


def shown_points(points: Iterable[Point]) -> tuple[Point, ...]:
    """The points of the stop: one method for each kind of pattern, as it is by default, without outlier rows."""
    kinds = {parse_pattern(word).kind for word in SHAPE_PATTERNS}
    return tuple(point for point in points if point.spec.method.name in SHAPE_METHODS and point.usual
                 and point.spec.pattern.kind in kinds and not point.spec.pattern.outlier_rows)


def shape_exercises(points: Sequence[Point]) -> list[Exercise]:
    """Exercises on what zeros leave, how far each goes, and where a block's weights are."""
    found = [_far(points)]
    zeros = [point for point in points if not point.spec.pattern.shrinks]
    if zeros:
        most = max(zeros, key=lambda point: point.counted_sparsity)
        found.insert(0, (f"{numbers.percent(most.counted_sparsity)} of the weights are zero. How many parameters does the file have less?",
                         "None. Each zero is stored like any other number, and multiplied like any other."))
    return [*found, *_shares(points)]


def _far(points: Sequence[Point]) -> Exercise:
    """Least share left within a bearable price, by kind."""
    told: list[str] = []
    for one in by_kind(points, left):
        near = [spot.x for spot in one.spots if spot.value(perplexity) <= _BEARABLE * spot.points[0].dense.perplexity]
        told.append(f"{one.label} {numbers.percent(min(near))}" if near else f"{one.label}: no computed point")
    return ("How little can be left while the perplexity rises by at most 10 %?", f"{'; '.join(told)}. Only computed points count.")


def _shares(points: Sequence[Point]) -> list[Exercise]:
    """Share of a block's weights in its MLP: a share of neurons takes as large a share of the MLP."""
    neurons = [point for point in points if point.spec.pattern.kind == "neurons" and point.spec.pattern.share]
    if not neurons:
        return []
    point = max(neurons, key=lambda point: point.counted_sparsity)
    asked = point.spec.pattern.share or 1.0
    return [(f"{numbers.setting(100 * asked)} % of the neurons are gone, and {numbers.percent(point.counted_sparsity)} of the weights of "
             "the blocks. What share of these is in the MLPs?",
             f"About {numbers.percent(point.counted_sparsity / asked)}: neurons take nothing of the attention. (The number left is rounded "
             "to a multiple of 8.)")]
