"""Damping, row systems and masked conjugate gradients.

Notation of METHODS.md: c rows out, b columns in, H = G + λ·mean(diag G)·I.
All functions keep the dtype they are given (float32 or float64) and never change their arguments.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from core.errors import IllConditioned
from core.factors import cholesky
from core.products import add_product, product
from core.rows import conjugate_gradients, conjugate_step, descends, passes, solve_subsets
from core.waiting import look_up

_UNSEEN = 8  # iterations on a GPU between two looks at what they gain


def damp(gram: Tensor, damping: float) -> Tensor:
    """H = G + λ·mean(diag G)·I [b, b].

    A dead input (G_jj = 0) has no entry off the diagonal, so any positive diagonal leaves the others as they are: it gets
    λ·mean like the rest, and at λ = 0 the mean itself (1 where every input is dead).
    """
    hessian = gram.clone()
    hessian.diagonal().add_(damped(gram.diagonal(), damping))
    return hessian


def damped(diagonal: Tensor, damping: float) -> Tensor:
    """What damping adds to each entry of diag G [b]."""
    mean = diagonal.mean()
    mean = torch.where(mean > 0, mean, torch.ones_like(mean))
    return torch.where(diagonal > 0, damping * mean, damping * mean if damping > 0 else mean)


Result = TypeVar("Result")


def raising_damping(attempt: Callable[[float], Result], damping: float, *, may_raise: bool) -> tuple[Result, float]:
    """`attempt(λ)` and the λ it took. With `may_raise`, an IllConditioned attempt is repeated at ten times λ, up to three times."""
    for _ in range(3 if may_raise else 0):
        try:
            return attempt(damping), damping
        except IllConditioned:
            damping = max(10 * damping, 0.001)
    return attempt(damping), damping


def solve_rows(system: Tensor, weight: Tensor, pruned: Tensor, *, layer: str = "layer", damping: float = 0.0) -> Tensor:
    """Λ [c, B], zero off the mask, with (A_SS) Λ_S = weight_S in every row, S = the row's pruned columns.

    A = `system` [B, B] is symmetric positive definite; weight [c, B]; pruned bool [c, B]. Rows with |S| ≤ B/2 factor A_SS.
    The others factor the kept set K: with z = weight on S and y = zA⁻¹, Λ = y − A⁻¹[:,K] ([A⁻¹]_KK)⁻¹ y_K (METHODS.md §4).
    Cost Σ min(|S|, |K|)³/6 multiply-adds on a CPU. Raises IllConditioned, with the layer and damping given, where rounding has
    left A indefinite.
    """
    many = pruned.sum(1) > system.shape[0] // 2
    if system.is_cuda or not bool(many.any()):  # there every system is padded to B: nothing to gain, and no wait for the device
        return solve_subsets(system, weight, pruned)
    few, rest = (~many).nonzero()[:, 0], many.nonzero()[:, 0]
    solution = torch.empty_like(weight, memory_format=torch.contiguous_format)
    solution[few] = solve_subsets(system, weight[few], pruned[few])
    inverse, removed = torch.cholesky_inverse(cholesky(system, layer=layer, damping=damping)), pruned[rest]
    spread = product(weight[rest] * removed, inverse)
    correction = solve_subsets(inverse, spread, ~removed)
    solution[rest] = add_product(spread, correction, inverse, -1).mul_(removed)
    return solution


def masked_cg(hessian: Tensor, target: Tensor, start: Tensor, pruned: Tensor, *, iterations: int,
              tolerance: float = 0.0) -> tuple[Tensor, Tensor]:
    """The kept weights X [c, b] that minimise tr((X−W)H(X−W)ᵀ) with X zero on `pruned`, and that minimum (a scalar).

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

    `solution` X [c, b] is zero on the mask; `residual` is (W−X)H [c, b], and stays exact off the mask too. Compiled where core/rows.py can.
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
            look_up()
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
