"""The alternating direction method of multipliers for kept weights (Boža 2024; docs/methods/admm1.md).

With n_j = √G_jj, W̃₀ = W·n and A = G/(n nᵀ) + λ·mean diag, minimize tr((W̃−W̃₀)A(W̃−W̃₀)ᵀ) with W̃ zero on the mask, by
    Z = (W̃+U) off the mask;   U ← U + W̃ − Z;   W̃ ← (W̃₀A + ρ(Z−U))·Q,   Q = (A+ρI)⁻¹, ρ = 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.layer.masks import clear
from core.layer.problem import LayerProblem
from core.linalg.cholesky import cholesky
from core.linalg.damping import damp
from core.linalg.products import add_product

_RHO = 1.0


class Admm:
    """The state of one layer, as V = W̃ + U [c, b], all there is to keep: Z is V off the mask, and U is V on it.

    W̃ − W̃₀ = ρ(Z − U − W̃₀)Q: written so, an iteration is one c×b×b product, and where nothing is pruned nothing moves. Q is
    formed (one Cholesky and its inverse, b³, shared by all layers with this input): a product with it costs as much as two
    triangular solves and runs faster; ρ bounds its condition. A dead input has n_j = 1. Raises IllConditioned.
    """

    def __init__(self, problem: LayerProblem, damping: float) -> None:
        self._problem = problem
        self._norm, self._inverse = problem.shared(("admm", damping), lambda: _normalized(problem, damping))
        self._start = problem.working_weight * self._norm
        self._dead = problem.shared(("dead inputs",), lambda: problem.dead.nonzero()[:, 0])
        self._moved = torch.zeros_like(self._start)  # V − W̃₀

    def scores(self) -> Tensor:
        """|W̃+U| [c, b], dead inputs first; before the first iteration Wanda's |W|·√G_jj."""
        return (self._start + self._moved).abs_().index_fill_(1, self._dead, -1)

    def iterate(self, pruned: Tensor) -> None:
        """Z, U and W̃ once, for this mask."""
        dual = (self._start + self._moved).mul_(pruned)
        pull = torch.add(self._moved, dual, alpha=-2)  # Z − U − W̃₀: V − W̃₀ off the mask, −V − W̃₀ on it; no slow torch.where
        self._moved = add_product(dual, pull, self._inverse, _RHO)

    def solution(self, pruned: Tensor) -> Tensor:
        """Z/n [c, b]."""
        return clear(self._problem.working_weight + self._moved / self._norm, pruned)


def _normalized(problem: LayerProblem, damping: float) -> tuple[Tensor, Tensor]:
    """n [b] and Q = (A+ρI)⁻¹ [b, b]."""
    norm = problem.input_norm.masked_fill(problem.dead, 1)
    system = damp(problem.working_gram / norm / norm[:, None], damping)
    system.diagonal().add_(_RHO)
    return norm, torch.cholesky_inverse(cholesky(system, layer=problem.name, damping=damping))
