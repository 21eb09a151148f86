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
    return (f"Removing inputs {first} and {second} of row {row} costs {numbers.error(pair[first, second])}; alone they cost "
            f"{numbers.error(pair[first, first])} and {numbers.error(pair[second, second])}: together {words} the sum "
            f"({numbers.times(pair_ratio(found, row, first, second))}). Over the {above.size} pairs of this row the ratio goes from "
            f"{numbers.times(above.min())} to {numbers.times(above.max())}.")


def pair_reason(found: TwoWeights, row: int, first: int, second: int) -> str:
    """Reason of the interaction: the sign of w_q·w_r·[H⁻¹]_qr, with the numbers."""
    u, v = found.weight[row, first], found.weight[row, second]
    cross = found.inverse[first, second]
    scale = math.sqrt(found.inverse[first, first] * found.inverse[second, second])
    return (rf"$w_q w_r [H^{{-1}}]_{{qr}} = {tex(u)}\cdot{tex(v)}\cdot{tex(cross)}$ is "
            f"{'positive, which makes the pair cheaper' if u * v * cross > 0 else 'negative, which makes the pair dearer'} than the other "
            f"sign would, and $[H^{{-1}}]_{{qr}}$ is {numbers.percent(abs(cross) / scale)} of the "
            "largest it could be.")


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
