"""AdaPrune: a mask from scores, the kept weights by gradient descent (Hubara et al. 2021, Eq. 3; docs/methods/adaprune.md).

Minimizes f(Ŵ) = tr((Ŵ−W)G(Ŵ−W)ᵀ) with Ŵ zero on the mask, by core/layer/descent.py. The paper draws batches of inputs; G holds all of
them, so the gradient (Ŵ−W)G on the kept entries is that of the whole calibration text, and nothing is random.
"""

from __future__ import annotations

from collections.abc import Generator

from core.layer.descent import Adam, Sgd
from core.layer.masks import select
from core.layer.problem import LayerProblem
from core.layer.steps import Outcome, Step
from core.spec.methods import AdaPrune
from core.spec.patterns import Target


def kernel(problem: LayerProblem, target: Target, method: AdaPrune) -> Generator[Step, None, Outcome]:
    """`iterations` products of c×b×b; undamped, so nothing can be ill-conditioned."""
    original = problem.working_weight
    scores = (original * problem.input_norm if method.mask == "wanda" else original).abs().masked_fill_(problem.dead, -1)
    pruned = select(scores, target, granularity=method.granularity)
    descent = (Adam if method.optimizer == "adam" else Sgd)(problem, pruned, learning_rate=method.learning_rate)
    descent.iterate(method.iterations)
    weight = descent.weight
    yield Step(columns=(0, weight.shape[1]), pruned=pruned, weight=weight, loss=None)
    return Outcome(weight=weight, pruned=pruned)
