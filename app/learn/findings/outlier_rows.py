"""Findings and exercises about outlier rows."""

from __future__ import annotations

import math

import numpy as np

from app.learn.findings.common import Exercise
from app.shared import numbers
from core.records.lessons import STRENGTHS, StrongRow


def rows_finding(found: StrongRow, count: int) -> str:
    """Energy of the strong rows, the columns that go, the effect of keeping the strongest rows, and of keeping others."""
    rows, one = list(found.strong), len(found.strong) == 1
    start = (f"{_rows(found)[0].upper()}{_rows(found)[1:]} {'holds' if one else 'hold'} {numbers.percent(float(found.shares[rows].sum()))} "
             f"of the output's energy and {'makes' if one else 'make'} up "
             f"{numbers.percent(float(found.parts[rows].sum() / found.parts.sum()))} of the columns' losses. With no row dense "
             f"{_columns(found, 0)} go: error {numbers.error(found.error[0])}")
    if not count:
        return f"{start}. Raise α to leave the strongest dense."
    before, error, choices = found.error[0], found.error[count], found.choices[count]
    same = abs(error - before) <= 1e-9 * before
    change = "the same" if same else f"{numbers.percent(abs(error / before - 1))} {'lower' if error < before else 'higher'}"
    strongest = "the strongest" if count == 1 else f"the {count} strongest"
    better = int((choices.error < error * (1 - 1e-9)).sum())
    others = f"{better or 'None'} of {len(choices.error)} choices of as many rows {'is' if better <= 1 else 'are'} better."
    return (f"{start}. With {strongest} dense {_columns(found, count)} go from the others: {numbers.error(error)}, {change}. {others} "
            f"Zeros: {' and '.join(dict.fromkeys(numbers.percent(found.counted_sparsity[at]) for at in (0, count)))}.")


def _columns(found: StrongRow, count: int) -> str:
    """The columns that go while `count` rows stay."""
    gone = np.flatnonzero((found.weight[count] == 0)[~found.kept[count]].all(0)).tolist()
    return f"column{'' if len(gone) == 1 else 's'} {', '.join(map(str, gone))}"


def _rows(found: StrongRow) -> str:
    return f"row{'s' * (len(found.strong) > 1)} {' and '.join(map(str, found.strong))}"


def rows_exercises(found: StrongRow) -> list[Exercise]:
    best = int(np.argmin(found.error))
    rows = len(found.shares)
    errors = ", ".join(numbers.error(error) for error in found.error)
    turns = (f"{numbers.setting(found.turns)} times." if math.isfinite(found.turns) else
             f"Up to {numbers.setting(STRENGTHS[-1])} times it changes nothing: the columns that it needs least go already.")
    even = f"{numbers.percent(1 / rows)}; here the strongest holds {numbers.percent(float(found.shares.max()))}"
    most = len(found.error) - 1
    own = "its own weights" if len(found.strong) == 1 else "their own weights"
    return [
        (f"No row is dense. How strong must {_rows(found)} be made for other columns to go than with {own}?", turns),
        ("How many dense rows are best for this matrix?",
         f"{best} of {rows}. With 0, 1, … rows dense the error is {errors}. If all rows had the same energy each would hold {even}."),
        ("Why can a dense row make the error greater?",
         f"The total is kept, so more columns go from the other rows. With {numbers.plural(most, 'row')} dense the others lose "
         f"{_columns(found, most)}, with none {_columns(found, 0)}."),
        *_two_exercises(found),
    ]


def _two_exercises(found: StrongRow) -> list[Exercise]:
    """Exercise on two strong rows, where both can stay dense."""
    if len(found.strong) < 2 or len(found.error) < 3:
        return []
    left = [row for row in found.strong if not found.kept[1][row]]
    still = f"Row {left[0]} still decides with the others" if len(left) == 1 else "Both still decide with the others"
    return [("Two rows are strong. What does it change to keep one of them dense, and what to keep two rows?",
             f"With one row dense the error is {numbers.error(found.error[1])}, with two {numbers.error(found.error[2])}, with none "
             f"{numbers.error(found.error[0])}. {still} while only one stays: {_columns(found, 1)} go, with two dense "
             f"{_columns(found, 2)}.")]
