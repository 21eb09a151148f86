"""Damping, the reversed Cholesky factor, row systems and masked conjugate gradients.

Notation of METHODS.md: c rows out, b columns in, H = G + λ·mean(diag G)·I, H⁻¹ = UᵀU with U upper triangular.
All functions keep the dtype they are given (float32 or float64) and never change their arguments.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from core.errors import IllConditioned
from core.products import add_product, product
from core.rows import conjugate_gradients, conjugate_step, descends, passes, solve_subsets
from core.waiting import look_up

_BLOCK = 256  # columns up to which a matrix is factored and inverted by LAPACK alone
_PANEL = 192  # columns that LAPACK factors at once in a larger one; the rest is products
_UNSEEN = 8  # iterations on a GPU between two looks at what they gain


def damp(gram: Tensor, damping: float) -> Tensor:
    """H = G + λ·mean(diag G)·I [b, b].

    A dead input (G_jj = 0) has no entry off the diagonal, so any positive diagonal leaves the others as they are: it gets
    λ·mean like the rest, and at λ = 0 the mean itself (1 where every input is dead).
    """
    diagonal = gram.diagonal()
    mean = diagonal.mean()
    mean = torch.where(mean > 0, mean, torch.ones_like(mean))
    hessian = gram.clone()
    added = torch.where(diagonal > 0, damping * mean, damping * mean if damping > 0 else mean)
    hessian.diagonal().add_(added)
    return hessian


def inverse_factor(hessian: Tensor, *, layer: str = "layer", damping: float = 0.0) -> Tensor:
    """U [b, b], upper triangular, with H⁻¹ = UᵀU; then [H_{j:,j:}]⁻¹ = U[j:,j:]ᵀU[j:,j:] for every j.

    With J the reversal of the axes, JHJ = LLᵀ gives H = VVᵀ with V = JLJ upper triangular, and U = V⁻¹: one Cholesky and
    one triangular inverse, H⁻¹ is never formed. O(b³).

    Raises:
        IllConditioned: H is not positive definite in this arithmetic; says the pivot that failed.
    """
    reversed_ = hessian.flip(0, 1)
    del hessian
    lower = cholesky(reversed_, layer=layer, damping=damping)
    del reversed_
    inverse = torch.zeros_like(lower, memory_format=torch.contiguous_format)
    _invert_lower(lower, inverse)
    del lower
    return inverse.flip(0, 1)


def _invert_lower(lower: Tensor, inverse: Tensor) -> None:
    """`inverse`, zero so far, becomes L⁻¹ [k, k]: the halves on the diagonal inverted, then what couples them, −L₂₂⁻¹ L₂₁ L₁₁⁻¹. k³/6.

    Solving for the identity would be k³/2, and at half the speed of a product.
    """
    if len(lower) <= _BLOCK:
        columns = torch.eye(len(lower), dtype=lower.dtype, device=lower.device).mT  # column-major: solved in place
        inverse.copy_(torch.linalg.solve_triangular(lower, columns, upper=False, out=columns))
        return
    size, half = len(lower), len(lower) // 2
    _invert_lower(lower[:half, :half], inverse[:half, :half])
    _invert_lower(lower[half:, half:], inverse[half:, half:])
    across = lower.new_empty(size - half, half)
    for start in range(0, half, _BLOCK):  # below the diagonal only
        stop = min(start + _BLOCK, half)
        across[:, start:stop] = product(lower[half:, start:half], inverse[start:half, start:stop])
    for start in range(half, size, _BLOCK):
        stop = min(start + _BLOCK, size)
        inverse[start:stop, :half] = product(inverse[start:stop, half:stop], across[: stop - half]).neg_()


def cholesky(matrix: Tensor, *, layer: str = "layer", damping: float = 0.0) -> Tensor:
    """Lower L [k, k] with LLᵀ = matrix; on a CPU by blocks of columns, so that most of it is products. k³/6. Raises IllConditioned."""
    if matrix.is_cuda or len(matrix) <= _BLOCK:
        return _cholesky(matrix, matrix, 0, layer, damping)
    return _panels(matrix, layer, damping)[0]


def solve_right(matrix: Tensor, right: Tensor, *, layer: str = "layer", damping: float = 0.0) -> Tensor:
    """right·matrix⁻¹ [r, k], the matrix [k, k] symmetric positive definite. k³/6 + r·k². Raises IllConditioned."""
    size = len(matrix)
    if matrix.is_cuda or size <= _BLOCK or not len(right):
        lower = _cholesky(matrix, matrix, 0, layer, damping)
        return torch.cholesky_solve(right.mT, lower).mT if right.numel() else right
    lower, inverses = _panels(torch.cat([matrix, right]), layer, damping)
    solution = lower[size:].mT.contiguous()  # L⁻¹·rightᵀ [k, r]
    for start, inverse in reversed(list(zip(range(0, size, _PANEL), inverses, strict=True))):
        stop = start + len(inverse)
        part = solution[start:stop]
        if stop < size:
            add_product(part, lower[stop:size, start:stop].mT, solution[stop:], -1)
        part.copy_(product(inverse.mT, part))
    return solution.mT


def _panels(tall: Tensor, layer: str, damping: float) -> tuple[Tensor, list[Tensor]]:
    """For `tall` [n, k], LLᵀ with any rows R below it: L with R·L⁻ᵀ below it [n, k], and the inverses of L's diagonal blocks."""
    size = tall.shape[1]
    lower, inverses = torch.zeros_like(tall, memory_format=torch.contiguous_format), list[Tensor]()
    for start in range(0, size, _PANEL):
        stop = min(start + _PANEL, size)
        panel = add_product(tall[start:, start:stop].clone(), lower[start:, :start], lower[start:stop, :start].mT, -1)
        corner = _cholesky(panel[: stop - start], tall, start, layer, damping)
        identity = torch.eye(stop - start, dtype=tall.dtype, device=tall.device)
        inverses.append(torch.linalg.solve_triangular(corner, identity, upper=False))
        lower[start:stop, start:stop] = corner
        lower[stop:, start:stop] = product(panel[stop - start :], inverses[-1].mT)
    return lower, inverses


def _cholesky(corner: Tensor, matrix: Tensor, start: int, layer: str, damping: float) -> Tensor:
    """The lower factor of what is left of `matrix` [k, k] in a block of columns from `start` on. Raises IllConditioned."""
    lower, info = torch.linalg.cholesky_ex(corner)
    failed = int(info)
    if failed:
        raise IllConditioned(layer, _failed_pivot(matrix, start + failed - 1), damping)
    return lower


Result = TypeVar("Result")


def raising_damping(attempt: Callable[[float], Result], damping: float, *, may_raise: bool) -> tuple[Result, float]:
    """`attempt(λ)` and the λ it took. With `may_raise`, an IllConditioned attempt is repeated at ten times λ, up to three times."""
    for _ in range(3 if may_raise else 0):
        try:
            return attempt(damping), damping
        except IllConditioned:
            damping = max(10 * damping, 0.001)
    return attempt(damping), damping


def _failed_pivot(matrix: Tensor, index: int) -> float:
    """The pivot that was not positive: the Schur complement of the leading `index` rows, in float64."""
    leading = matrix[: index + 1, : index + 1].double()
    if index == 0:
        return float(leading[0, 0])
    lower = torch.linalg.cholesky_ex(leading[:index, :index])[0]
    row = torch.linalg.solve_triangular(lower, leading[:index, index:], upper=False)
    return float(leading[index, index] - (row * row).sum())


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
    spread = product(weight[rest].masked_fill_(~removed, 0), inverse)
    correction = solve_subsets(inverse, spread, ~removed)
    solution[rest] = add_product(spread, correction, inverse, -1).masked_fill_(~removed, 0)
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
