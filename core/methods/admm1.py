"""ADMM with a fixed mask: Wanda's mask, the kept weights by alternating directions (Boža 2024, Alg. 1; docs/methods/admm1.md)."""

from __future__ import annotations

from collections.abc import Generator

from core.layer.admm import Admm
from core.layer.masks import select
from core.layer.problem import LayerProblem
from core.layer.steps import Outcome, Step
from core.spec.methods import Admm1
from core.spec.patterns import Target


def kernel(problem: LayerProblem, target: Target, method: Admm1) -> Generator[Step, None, Outcome]:
    """The mask of least |W_ij|·√G_jj, then `iterations` steps of ADMM. b³ + iterations·c·b². Raises IllConditioned."""
    state = Admm(problem, method.damping)
    pruned = select(state.scores(), target, granularity=method.granularity)
    for _ in range(method.iterations):
        state.iterate(pruned)
    weight = state.solution(pruned)
    yield Step(columns=(0, weight.shape[1]), pruned=pruned, weight=weight, loss=None)
    return Outcome(weight=weight, pruned=pruned, damping=method.damping)
