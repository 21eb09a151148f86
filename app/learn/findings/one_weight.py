"""Findings and exercises about the removal of one weight."""

from __future__ import annotations

import numpy as np

from app.learn.charts.one_weight import order
from app.learn.findings.common import Exercise, tex
from app.shared import numbers
from core.records.lessons import OneWeight


def one_weight_finding(found: OneWeight, row: int, column: int) -> str:
    loss, alone, count = found.loss[row, column], found.diagonal[row, column], found.weight.size
    by_loss, by_diagonal, by_size = (order(values)[row, column] for values in (found.loss, found.diagonal, np.abs(found.weight)))
    more = numbers.times(alone / loss) if loss else "1×"
    return (f"Removing w = {numbers.signed(found.weight[row, column])} (row {row}, input {column}) costs "
            f"{numbers.share(loss / found.energy)} of the output's energy; if nothing else moved, {more} as much. Of {count} weights it "
            f"is number {by_loss} to go by its loss, {by_diagonal} by the diagonal alone, {by_size} by magnitude.")


def one_weight_formula(found: OneWeight, row: int, column: int) -> str:
    """The loss of the chosen weight, and how much of its input the others can stand for."""
    weight, inverse = found.weight[row, column], found.inverse[column, column]
    return (rf"$$\text{{loss}} = \frac{{w_q^2}}{{[H^{{-1}}]_{{qq}}}} = \frac{{({tex(weight)})^2}}{{{tex(inverse)}}} = "
            rf"{tex(found.loss[row, column])}$$")


def one_weight_reason(found: OneWeight, column: int) -> str:
    factor = float(found.hessian[column, column] * found.inverse[column, column])
    return (f"For input {column}, $H_{{qq}}\\,[H^{{-1}}]_{{qq}} = {numbers.error(factor)}$: the other inputs can stand for "
            f"{numbers.percent(1 - 1 / factor)} of it, and compensation saves just that share of the loss.")


def one_weight_exercises(found: OneWeight) -> list[Exercise]:
    factor = np.diag(found.hessian) * np.diag(found.inverse)
    saved = int(np.argmax(factor))
    cheapest = np.unravel_index(int(np.argmin(found.loss)), found.loss.shape)
    smallest = np.unravel_index(int(np.argmin(np.abs(found.weight))), found.weight.shape)
    same = "They are the same weight here." if cheapest == smallest else "They are not the same weight here."
    return [
        ("Which weight costs least, and which is the smallest?",
         f"Cheapest: row {cheapest[0]}, input {cheapest[1]}, loss {numbers.error(found.loss[cheapest])}. Smallest: row {smallest[0]}, "
         f"input {smallest[1]}, loss {numbers.error(found.loss[smallest])}. {same}"),
        ("For which input does compensation help most, and is it the same input in every row?",
         f"Input {saved}: it saves {numbers.percent(1 - 1 / float(factor[saved]))}. The share is the same in every row, because "
         "H_qq·[H⁻¹]_qq depends on the inputs alone."),
        ("When is it certain that the diagonal score and the loss order all weights alike?",
         f"When H_qq·[H⁻¹]_qq is the same for every input; so if H is diagonal, where it is 1. Here it goes from "
         f"{numbers.error(factor.min())} to {numbers.error(factor.max())}, and the rank agreement is "
         f"{numbers.index(found.agreement['diagonal'])}."),
    ]
