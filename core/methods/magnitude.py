"""Magnitude pruning: the smallest |W| go, nothing else moves (Han et al. 2015; docs/methods/magnitude.md)."""

from __future__ import annotations

from collections.abc import Generator

from core.layer.masks import select
from core.layer.problem import LayerProblem
from core.layer.steps import Outcome, Step
from core.spec.methods import Magnitude
from core.spec.patterns import Target


def kernel(problem: LayerProblem, target: Target, method: Magnitude) -> Generator[Step, None, Outcome]:
    """Score |W_ij|, dead inputs first; columns by their mean score. O(cb)."""
    weight = problem.working_weight
    scores = weight.abs().masked_fill_(problem.dead, -1)
    pruned = select(scores, target, granularity=method.granularity)
    kept = weight.masked_fill(pruned, 0)
    yield Step(columns=(0, weight.shape[1]), pruned=pruned, weight=kept, loss=None)
    return Outcome(weight=kept, pruned=pruned)
