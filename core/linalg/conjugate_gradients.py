"""Damping, row systems and masked conjugate gradients.

Notation: c rows out, b columns in, H = G + λ·mean(diag G)·I.
All functions keep the dtype they are given (float32 or float64) and never change their arguments.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import Tensor

from core.linalg.cancellation import check_cancelled
from core.linalg.products import product
from core.linalg.rows import conjugate_gradients, conjugate_step, descends, passes

_UNSEEN = 8  # iterations on a GPU between two looks at what they gain


def masked_cg(hessian: Tensor, target: Tensor, start: Tensor, pruned: Tensor, *, iterations: int,
              tolerance: float = 0.0) -> tuple[Tensor, Tensor]:
    """The kept weights X [c, b] that minimize tr((X−W)H(X−W)ᵀ) with X zero on `pruned`, and that minimum (a scalar).

    Jacobi-preconditioned conjugate gradients on all rows at once from X = `start` (zero on the mask), W = `target`.
    One c×b×b product an iteration; stops early when an iteration lowers the total by less than `tolerance` of it.
    A singular H is allowed: an input without energy keeps its starting weight.
    """
    solution = start.clone()
    error = target - solution
    residual = product(error, hessian)
    total = (error * residual).sum()
    del error
    cg_steps(hessian, solution, residual, pruned, iterations=iterations, total=total, tolerance=tolerance)
    return solution, ((target - solution) * residual).sum()  # the residual stays exact: no product more


def cg_steps(hessian: Tensor, solution: Tensor, residual: Tensor, pruned: Tensor, *, iterations: int,
             total: Tensor | None = None, tolerance: float = 0.0) -> None:
    """Masked Jacobi-CG in place: `solution` X [c, b], zero on the mask, and `residual` (W−X)H [c, b], which stays exact off it too.

    One c×b×b product an iteration. With `total` = tr((X−W)H(X−W)ᵀ), stops when an iteration gains less than `tolerance` of it (on a GPU
    that is asked once in some iterations, of their mean).
    """
    state = ConjugateGradients(hessian, solution, residual, pruned)
    if total is None or not tolerance:
        state.iterate(iterations)
        return
    many = _UNSEEN if solution.is_cuda else 1
    for done in range(0, iterations, many):
        some = min(many, iterations - done)
        gained = state.iterate(some).sum()
        total = total - gained
        if bool(gained <= some * tolerance * total.abs()):
            return


class ConjugateGradients:
    """Jacobi-preconditioned conjugate gradients on all rows at once, some iterations at a time, in place.

    `solution` X [c, b] is zero on the mask; `residual` is (W−X)H [c, b], and stays exact off the mask too.
    Compiled where core/linalg/rows.py has a kernel.
    """

    def __init__(self, hessian: Tensor, solution: Tensor, residual: Tensor, pruned: Tensor) -> None:
        diagonal = hessian.diagonal()
        self._hessian, self._solution, self._residual = hessian, solution, residual
        inverse = torch.where(diagonal > 0, 1 / diagonal, torch.zeros_like(diagonal))
        self._scale = ~pruned * inverse  # a product with the mask: filling where a random mask is True takes many times as long
        self._direction = residual * self._scale
        self._slope = (residual * self._direction).sum(1)

    def iterate(self, times: int = 1) -> Tensor:
        """A c×b×b product each; returns by how much each row's tr((X−W)H(X−W)ᵀ) fell [c]."""
        state = self._scale, self._solution, self._residual, self._direction
        if descends(self._hessian, *state):
            return conjugate_gradients(self._hessian, *state, self._slope, times)
        gained, compiled = torch.zeros_like(self._slope), passes(self._hessian, *state)
        for _ in range(times):
            check_cancelled()
            if compiled:
                conjugate_step(product(self._direction, self._hessian), *state, self._slope, gained)
            else:
                gained += self._step()
        return gained

    def _step(self) -> Tensor:
        slope, direction = self._slope, self._direction
        pushed = product(direction, self._hessian)
        curvature = (direction * pushed).sum(1)
        step = torch.where(curvature > 0, slope / curvature, torch.zeros_like(slope))
        self._solution.addcmul_(direction, step[:, None])
        self._residual.addcmul_(pushed, step[:, None], value=-1)
        scaled = self._residual * self._scale
        self._slope = (self._residual * scaled).sum(1)
        ratio = torch.where(slope > 0, self._slope / slope, torch.zeros_like(slope))
        direction.mul_(ratio[:, None]).add_(scaled)
        return step * slope
