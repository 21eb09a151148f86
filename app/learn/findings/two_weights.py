"""Findings and exercises about the removal of two weights."""

from __future__ import annotations

import math

import numpy as np

from app.learn.charts.two_weights import interaction
from app.learn.findings.common import EVEN, Exercise, tex
from app.shared import numbers
from core.records.lessons import TwoWeights


def pair_ratio(found: TwoWeights, row: int, first: int, second: int) -> float:
    return float(interaction(found)[row, first, second])


def pair_verdict(found: TwoWeights, row: int, first: int, second: int) -> str:
    """`less`, `same` or `more`: the loss of the pair beside the sum of the two."""
    ratio = pair_ratio(found, row, first, second)
    return "same" if abs(ratio - 1) <= EVEN else "more" if ratio > 1 else "less"


def pair_finding(found: TwoWeights, row: int, first: int, second: int) -> str:
    pair = found.pair[row]
    above = interaction(found)[row][np.triu_indices(pair.shape[0], 1)]
    words = {"less": "less than", "same": "about the same as", "more": "more than"}[pair_verdict(found, row, first, second)]
    both, one, other = numbers.errors(*(float(pair[place]) for place in ((first, second), (first, first), (second, second))))
    return (f"Removing inputs {first} and {second} of row {row} costs {both}; alone they cost {one} and {other}: together {words} the sum "
            f"({numbers.times(pair_ratio(found, row, first, second))}). Over the {above.size} pairs of this row the ratio goes from "
            f"{numbers.times(above.min())} to {numbers.times(above.max())}.")


def pair_reason(found: TwoWeights, row: int, first: int, second: int) -> str:
    """The two factors of the ratio, with their numbers: the pair's loss over the sum is (1 − s)/(1 − ρ²)."""
    cross = float(found.inverse[first, second]) / math.sqrt(found.inverse[first, first] * found.inverse[second, second])
    x, y = (found.weight[row, place] / math.sqrt(found.inverse[place, place]) for place in (first, second))
    shared = 2 * cross * float(x * y) / float(x**2 + y**2) if x or y else 0.0
    return (rf"the ratio is $(1-s)/(1-\rho^2)$. $\rho = [H^{{-1}}]_{{qr}} / \sqrt{{[H^{{-1}}]_{{qq}}[H^{{-1}}]_{{rr}}}} = {tex(cross)}$: "
            f"neither can make up for the other any more, which costs {numbers.times(1 / (1 - cross**2))}. "
            rf"$s = 2\rho\,xy/(x^2+y^2) = {tex(shared)}$ with $x = w_q/\sqrt{{[H^{{-1}}]_{{qq}}}}$ and $y$ likewise: what the two lose "
            f"partly {'cancels' if shared > 0 else 'adds up'} in the output, {numbers.times(1 - shared)}.")


def pair_exercises(found: TwoWeights, row: int) -> list[Exercise]:
    ratio = interaction(found)
    upper = np.triu_indices(ratio.shape[1], 1)
    values = ratio[row][upper]
    most, least = int(np.argmax(values)), int(np.argmin(values))
    alone = np.diagonal(found.pair[row]).copy()
    two = np.sort(np.argsort(alone, kind="stable")[:2])
    pairs = np.where(np.triu(np.ones_like(ratio[row], dtype=bool), 1), found.pair[row], np.inf)
    best = np.unravel_index(int(np.argmin(pairs)), pairs.shape)
    agree = "the same pair" if tuple(two) == tuple(best) else "another pair"
    return [
        ("Which pair of this row costs most, and which least, relative to the sum of its two weights alone?",
         f"Inputs {upper[0][most]} and {upper[1][most]}: {numbers.times(values[most])}. Inputs {upper[0][least]} and {upper[1][least]}: "
         f"{numbers.times(values[least])}."),
        ("Are the two cheapest weights also the cheapest pair?",
         f"Alone, inputs {two[0]} and {two[1]} are cheapest; together they cost {numbers.error(found.pair[row, two[0], two[1]])}. "
         f"The cheapest pair costs {numbers.error(pairs[best])}: inputs {best[0]} and {best[1]}, {agree}."),
    ]
