"""The criterion for the matrix that Learn shows first: on it the methods differ where the lessons say that they do.

A contrast is a share by which two losses differ, or two rank correlations do, at the settings with which the stops open, and the
least that can be seen on the figure. A matrix meets the criterion if it meets each; of those that do, the best is the one whose smallest
contrast, over its least, is the greatest. `python -m bench.lesson_matrix` searches for it; a test holds the shipped choice against the
criterion. docs/lessons.md has the list.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.layer.problem import LayerProblem
from core.lessons.formulas import formulas
from core.lessons.mask_choice import every_mask
from core.lessons.removals import one_weight, two_weights
from core.lessons.stepping import stepped
from core.lessons.strong_row import strong_row
from core.records.lessons import COMPARED, FORMULAS, STEPPED, Floats

ROW, SECOND_ROW, PAIR = 2, 4, (2, 3)
SPARSITY, BLOCK, SHARE, FACTOR = 0.5, 4, 0.3, 4.0


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A difference that a stop's figure or exercise is about: its value, and the least that counts."""

    stop: int
    what: str
    value: float
    least: float

    @property
    def met(self) -> bool:
        return self.value >= self.least


def contrasts(problem: LayerProblem) -> Iterator[Contrast]:
    """All contrasts of a small matrix, those that are quick to compute first. Raises IllConditioned, Diverged."""
    for stop, of in ((1, _one), (2, _two), (5, _formulas), (7, _rows), (4, _masks), (3, _steps)):
        for what, value, least in of(problem):
            yield Contrast(stop=stop, what=what, value=float(value), least=least)


Found = Iterator[tuple[str, float, float]]


def _one(problem: LayerProblem) -> Found:
    found = one_weight(problem)
    yield "OBD's order agrees better with the loss than magnitude's", found.agreement["diagonal"] - found.agreement["magnitude"], 0.04
    yield "OBD's order is not the loss's", 1 - found.agreement["diagonal"], 0.006
    factor = found.hessian.diagonal() * found.inverse.diagonal()
    yield "compensation saves more at some inputs than at others", factor.max() / factor.min() - 1, 0.3
    smallest = np.unravel_index(np.abs(found.weight).argmin(), found.weight.shape)
    yield "the smallest weight is not the cheapest", found.loss[smallest] / found.loss.min() - 1, 0.1


def _two(problem: LayerProblem) -> Found:
    pair = two_weights(problem).pair[ROW]
    alone = pair.diagonal()
    upper = np.triu_indices(len(pair), 1)
    ratio = pair / (alone[:, None] + alone)
    yield "the first pair's losses do not add up", abs(ratio[PAIR] - 1), 0.05
    yield "some pairs cost more than their sum and some less", min(ratio[upper].max() - 1, 1 - ratio[upper].min()), 0.15
    first, second = np.sort(np.argsort(alone, kind="stable")[:2])
    yield "the two cheapest weights are not the cheapest pair", pair[first, second] / pair[upper].min() - 1, 0.02


def _formulas(problem: LayerProblem) -> Found:
    found = formulas(problem, sparsity=SHARE)
    none, right, part, hessian = (found.loss[FORMULAS.index(name)] for name in FORMULAS)
    yield "the right formula is better than no update", none / right - 1, 0.1
    yield "slip 1 is worse than the right formula", part / right - 1, 0.1
    yield "slip 2 is worse than no update", hessian / none - 1, 0.1
    yield "slip 1 leaves weights", found.left[FORMULAS.index("part")], 0.05


def _rows(problem: LayerProblem) -> Found:
    found = strong_row(problem, ROW, factor=FACTOR, sparsity=SHARE)
    yield "the strong row changes which columns go", FACTOR / found.turns, 1.0  # NaN where it never does: not met
    error, best = np.array(found.error), int(np.argmin(found.error))
    yield "keeping it pays", error[0] / error[1] - 1, 0.1
    yield "keeping too many rows does not", error[-1] / error[best] - 1, 0.1
    yield "another row in its place pays less", float(np.median(found.choices[1].error)) / error[1] - 1, 0.1
    both = np.array(strong_row(problem, ROW, second=SECOND_ROW, factor=FACTOR, sparsity=SHARE).error)
    yield "of two strong rows, keeping one pays", both[0] / both[1] - 1, 0.05
    yield "and keeping both pays more", both[1] / both[2] - 1, 0.05


def _masks(problem: LayerProblem) -> Found:
    found = every_mask(problem, ROW, sparsity=SPARSITY, block_size=BLOCK)
    least, own, exact = found.every[0], found.own[: len(COMPARED)], found.repaired[: len(COMPARED), -1]
    more = (exact - least) - (own - exact)
    yield "one method loses more by its mask than by its update, another more by its update", min(more.max(), -more.min()) / least, 0.05
    still: Floats = found.repaired[:, 0]
    yield "the best mask is not the best where no weight moves", still[-1] / still.min() - 1, 0.05


def _steps(problem: LayerProblem) -> Found:
    found = stepped(problem, sparsity=SPARSITY, block_size=BLOCK)
    by_name = {one.method: one for one in found.recordings}
    sweep, thanos, obc = (by_name[name] for name in STEPPED)
    yield "Thanos's block leaves less than SparseGPT's sweep", sweep.measured[-1] / thanos.measured[-1] - 1, 0.02
    yield "OBC leaves less than Thanos", thanos.measured[-1] / obc.measured[-1] - 1, 0.02
    yield "SparseGPT and OBC remove other weights", 1 - (sweep.pruned[-1] & obc.pruned[-1]).sum() / sweep.pruned[-1].sum(), 0.05
    yield "a block of B repairs more than a sweep", found.block_loss[0] / found.block_loss[BLOCK - 1] - 1, 0.01
    yield "and less than B = b", found.block_loss[BLOCK - 1] / found.optimum - 1, 0.01
