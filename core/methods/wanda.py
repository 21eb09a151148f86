"""Wanda: the smallest |W_ij|·‖X_j‖ go, nothing else moves (Sun et al. 2024, Eq. 1; docs/methods/wanda.md)."""

from __future__ import annotations

from collections.abc import Generator

from core.layer.masks import select
from core.layer.problem import LayerProblem
from core.layer.steps import Outcome, Step
from core.spec.methods import Wanda
from core.spec.patterns import Target


def kernel(problem: LayerProblem, target: Target, method: Wanda) -> Generator[Step, None, Outcome]:
    """Score |W_ij|·√G_jj, dead inputs first; compared within a row or the layer; columns by their mean score. O(cb)."""
    weight = problem.working_weight
    scores = (weight * problem.input_norm).abs_().masked_fill_(problem.dead, -1)
    pruned = select(scores, target, granularity=method.granularity)
    kept = weight.masked_fill(pruned, 0)
    yield Step(columns=(0, weight.shape[1]), pruned=pruned, weight=kept, loss=None)
    return Outcome(weight=kept, pruned=pruned)
