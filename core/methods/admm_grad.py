"""ADMM with a mask that grows: chosen anew from the weights it works on, then fixed (Boža 2024, Alg. 2; docs/methods/admm-grad.md).

The sparsity after t of T = 3/4·iterations steps is p − p(1−t/T)³. The authors' default path computes this schedule without
using it, and its n:m knows 2:4 only; here, as in the paper, the schedule is used, and n:m grows to any n in every m.
"""

from __future__ import annotations

from collections.abc import Generator

from core.layer.admm import Admm
from core.layer.masks import select_part
from core.layer.problem import LayerProblem
from core.layer.steps import Outcome, Step
from core.spec.methods import AdmmGrad
from core.spec.patterns import Target


def kernel(problem: LayerProblem, target: Target, method: AdmmGrad) -> Generator[Step, None, Outcome]:
    """In the first three quarters of the iterations the mask of least |W̃+U|, pruned entries among them: they may come back.

    b³ + iterations·c·b². Raises IllConditioned.
    """
    state = Admm(problem, method.damping)
    growing = max(1, method.iterations * 3 // 4)
    pruned = select_part(state.scores(), target, 1, growing, granularity=method.granularity)
    for step in range(1, method.iterations + 1):
        if 1 < step <= growing:
            pruned = select_part(state.scores(), target, step, growing, granularity=method.granularity)
        state.iterate(pruned)
    weight = state.solution(pruned)
    yield Step(columns=(0, weight.shape[1]), pruned=pruned, weight=weight, loss=None)
    return Outcome(weight=weight, pruned=pruned, damping=method.damping)
