"""Rows whose errors cost something together: tr(CΔHΔᵀ) with C [c, c], Δ = Ŵ − W, in place of the sum of what each row costs alone.

    −½ ∂/∂Ŵ = C·R    with R = (W−Ŵ)H: what one output has lost another can make up for

For row i, the others as they are and C_ii = 1, this is C_ii·(x − t)H(x − t)ᵀ and what does not depend on x, so that whatever prunes a row
alone prunes it here too, aimed at

    t_i = ŵ_i + Σ_k C_ik (w_k − ŵ_k)
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import Tensor

from core.linalg.cancellation import check_cancelled
from core.linalg.cholesky import cholesky
from core.linalg.products import add_product, product

_TOGETHER = 2.0  # times what each of them costs alone, at most, that rows may cost which move at the same time


def coupled_cg(coupling: Tensor, hessian: Tensor, solution: Tensor, residual: Tensor, pruned: Tensor, *, iterations: int) -> None:
    """Masked Jacobi-CG on tr(C(X−W)H(X−W)ᵀ) in place: `solution` X [c, b], zero on the mask, and `residual` (W−X)H [c, b].

    C = `coupling` [c, c] of unit diagonal and H = `hessian` [b, b] positive definite. One system, not one a row: c·b² + c²·b an iteration.
    """
    diagonal = hessian.diagonal()
    scale = ~pruned * torch.where(diagonal > 0, 1 / diagonal, torch.zeros_like(diagonal))
    pull = product(coupling, residual)
    direction = pull * scale
    slope = (pull * direction).sum()
    for _ in range(iterations):
        check_cancelled()
        pushed = product(direction, hessian)
        coupled = product(coupling, pushed)
        curvature = (direction * coupled).sum()
        step = torch.where(curvature > 0, slope / curvature, torch.zeros_like(slope))
        solution.addcmul_(direction, step)
        residual.addcmul_(pushed, step, value=-1)
        pull.addcmul_(coupled, step, value=-1)
        scaled = pull * scale
        before, slope = slope, (pull * scaled).sum()
        direction.mul_(torch.where(before > 0, slope / before, torch.zeros_like(slope))).add_(scaled)


def turns(coupling: Tensor) -> list[Tensor]:
    """Rows, int64, that may move at the same time, each as if the others stayed: every row once.

    Every n-th row, n the least power of two with which C of such rows has no eigenvalue above 2. Then all of them together lower
    tr(CΔHΔᵀ) as long as their masks stay (block Jacobi: 2·diag C − C positive definite). O(c³), and a value a try read from a GPU.
    """
    count, rows = 1, len(coupling)
    while count < rows and not _loose(coupling, count):
        count *= 2
    every = torch.arange(rows, device=coupling.device)
    return [every[start::count] for start in range(min(count, rows))]


def _loose(coupling: Tensor, count: int) -> bool:
    return all(bool(torch.linalg.eigvalsh(coupling[start::count, start::count])[-1] <= _TOGETHER) for start in range(count))


def aim(coupling: Tensor, original: Tensor, weight: Tensor, rows: Tensor) -> Tensor:
    """t [k, b] of `rows` int64 [k]: what they would be, without a mask, to make up for all that W − Ŵ [c, b] has lost."""
    return add_product(weight[rows], coupling[rows], original - weight)


def uncoupled(coupling: Tensor, weight: Tensor, *, layer: str = "layer") -> Tensor:
    """LᵀW with C = LLᵀ: tr(CΔHΔᵀ) is the sum of its rows' errors. For whole columns only: other zeros do not stay zeros.

    Raises IllConditioned where C is not positive definite in this arithmetic.
    """
    return product(cholesky(coupling, layer=f"output weight of {layer}").T, weight)
