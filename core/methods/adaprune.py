"""AdaPrune: a mask from scores, the kept weights by gradient descent (Hubara et al. 2021, Eq. 3; METHODS.md §6).

Minimises f(Ŵ) = tr((Ŵ−W)G(Ŵ−W)ᵀ) with Ŵ zero on the mask. The paper draws batches of inputs; G holds all of them, so the
gradient (Ŵ−W)G on the kept entries is that of the whole calibration text, and nothing is random. Steps are measured in the
layer's own units, so that its scale changes nothing: Adam's (Kingma & Ba 2015, Alg. 1) in 1 % of the root mean square of W,
SGD's in 1/L, with L = min(‖G‖_F, max_i Σ_j |G_ij|) at least the greatest eigenvalue: it never climbs for a rate below 2.
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from core.masks import select
from core.parameters import AdaPrune
from core.patterns import Target
from core.problem import LayerProblem
from core.solver import Outcome, Step


def kernel(problem: LayerProblem, target: Target, method: AdaPrune) -> Generator[Step, None, Outcome]:
    """`iterations` products of c×b×b; undamped, so nothing can be ill-conditioned."""
    original = problem.working_weight
    scores = (original * problem.input_norm if method.mask == "wanda" else original).abs().masked_fill_(problem.dead, -1)
    pruned = select(scores, target, granularity=method.granularity)
    descend = _adam if method.optimizer == "adam" else _sgd
    weight = descend(original, problem.working_gram, pruned, method)
    yield Step(columns=(0, weight.shape[1]), pruned=pruned, weight=weight, loss=None)
    return Outcome(weight=weight, pruned=pruned)


def _sgd(original: Tensor, gram: Tensor, pruned: Tensor, method: AdaPrune) -> Tensor:
    weight = original.masked_fill(pruned, 0)
    bound = torch.minimum(gram.square().sum().sqrt(), gram.abs().sum(1).max())
    rate = torch.where(bound > 0, method.learning_rate / bound, torch.zeros_like(bound))
    for _ in range(method.iterations):
        weight -= rate * ((weight - original) @ gram).masked_fill_(pruned, 0)
    return weight


def _adam(original: Tensor, gram: Tensor, pruned: Tensor, method: AdaPrune) -> Tensor:
    weight = original.masked_fill(pruned, 0)
    size = original.square().mean().sqrt()
    unit = size * gram.diagonal().mean()
    scale = torch.where(unit > 0, 1 / unit, torch.zeros_like(unit))
    first, second = torch.zeros_like(weight), torch.zeros_like(weight)
    for step in range(1, method.iterations + 1):
        gradient = ((weight - original) @ gram).masked_fill_(pruned, 0).mul_(scale)
        first.mul_(0.9).add_(gradient, alpha=0.1)
        second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        length = (second / (1 - 0.999**step)).sqrt_().add_(1e-8)
        weight -= 0.01 * method.learning_rate / (1 - 0.9**step) * size * first / length
    return weight
