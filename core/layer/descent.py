"""Kept weights by descent on the layer's error for a given mask, an iteration at a time.

All minimize f(Ŵ) = tr((Ŵ−W)G(Ŵ−W)ᵀ) with Ŵ zero on the mask, from W with the mask removed; an iteration is one c×b×b product.
Nothing is random, and steps are measured in the layer's own units, so that its scale changes nothing.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from core.layer.admm import Admm
from core.layer.problem import LayerProblem
from core.linalg.cancellation import check_cancelled
from core.linalg.conjugate_gradients import ConjugateGradients
from core.linalg.products import product
from core.linalg.rows import adam, adam_step, descends, gradient_steps, passes


class Descent(Protocol):
    """A descent: `iterate` some times, then `weight` [c, b] is the present one, zero on the mask.

    Compiled where core/linalg/rows.py has a kernel, else products of all rows. Raises Cancelled.
    """

    def iterate(self, times: int = 1) -> None: ...

    @property
    def weight(self) -> Tensor: ...


class Sgd:
    """Gradient steps in 1/L, with L = min(‖G‖_F, max_i Σ_j |G_ij|) at least the greatest eigenvalue: for a rate below 2 it never climbs."""

    def __init__(self, problem: LayerProblem, pruned: Tensor, *, learning_rate: float = 1.0) -> None:
        self._original, self._gram = problem.working_weight, problem.working_gram
        bound = torch.minimum(self._gram.square().sum().sqrt(), self._gram.abs().sum(1).max())
        self._rate = ~pruned * torch.where(bound > 0, learning_rate / bound, torch.zeros_like(bound))
        self.weight = self._original.masked_fill(pruned, 0)

    def iterate(self, times: int = 1) -> None:
        if descends(self._gram, self._rate, self.weight):
            gradient_steps(self._gram, self._rate, self._original, self.weight, times)
            return
        for _ in range(times):
            check_cancelled()
            self.weight -= product(self.weight - self._original, self._gram).mul_(self._rate)


class Adam:
    """Adam's steps (Kingma & Ba 2015, Alg. 1, in the order of the end of its section 2) in 1 % of the root mean square of W.

    Its state is (Ŵ−W)/rms(W), so that a step needs no other scale.
    """

    def __init__(self, problem: LayerProblem, pruned: Tensor, *, learning_rate: float = 1.0) -> None:
        self._original, self._gram = problem.working_weight, problem.working_gram
        size, unit = self._original.square().mean().sqrt(), self._gram.diagonal().mean()
        self._size = torch.where(size > 0, size, torch.ones_like(size))
        self._scale = ~pruned * torch.where(unit > 0, 1 / unit, torch.zeros_like(unit))
        self._rate = 0.01 * learning_rate
        self._moved = self._original * pruned / -self._size
        self._first, self._second = torch.zeros_like(self._moved), torch.zeros_like(self._moved)
        self._pruned, self._steps = pruned, 0

    def iterate(self, times: int = 1) -> None:
        compiled = passes(self._gram, self._scale, self._moved, self._first, self._second)
        if compiled and descends(self._gram):
            adam(self._gram, self._scale, self._moved, self._first, self._second, rate=self._rate, done=self._steps, times=times)
            self._steps += times
            return
        for _ in range(times):
            check_cancelled()
            if compiled:
                adam_step(product(self._moved, self._gram), self._scale, self._moved, self._first, self._second,
                          rate=self._rate, done=self._steps)
                self._steps += 1
            else:
                self._step()

    def _step(self) -> None:
        self._steps += 1
        gradient = product(self._moved, self._gram).mul_(self._scale)
        self._first.lerp_(gradient, 0.1)
        self._second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        biased = (1 - 0.999**self._steps) ** 0.5
        length = self._second.sqrt().add_(1e-8 * biased)
        self._moved.addcdiv_(self._first, length, value=-self._rate * biased / (1 - 0.9**self._steps))

    @property
    def weight(self) -> Tensor:
        return torch.addcmul(self._original, self._moved, self._size).masked_fill_(self._pruned, 0)


class FixedAdmm:
    """ADMM on a mask that stays (core/layer/admm.py). Damped: it ends at the optimum of its damped, normalized error."""

    def __init__(self, problem: LayerProblem, pruned: Tensor, *, damping: float = 0.1) -> None:
        self._state, self._pruned = Admm(problem, damping), pruned

    def iterate(self, times: int = 1) -> None:
        for _ in range(times):
            check_cancelled()
            self._state.iterate(self._pruned)

    @property
    def weight(self) -> Tensor:
        return self._state.solution(self._pruned)


class Conjugate:
    """Masked Jacobi-preconditioned conjugate gradients on all rows at once (core/linalg/conjugate_gradients.py)."""

    def __init__(self, problem: LayerProblem, pruned: Tensor) -> None:
        self.weight = problem.working_weight.masked_fill(pruned, 0)
        residual = product(problem.working_weight - self.weight, problem.working_gram)
        self._state = ConjugateGradients(problem.working_gram, self.weight, residual, pruned)

    def iterate(self, times: int = 1) -> None:
        self._state.iterate(times)
