"""Cholesky factors and what is solved with them: beyond a few columns by halves, so that most of the work is products.

All functions keep the dtype they are given (float32 or float64) and, unless they say otherwise, their arguments.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import Tensor

from core.linalg.cpu.triangular_inverse import invert_lower
from core.linalg.products import add_product, product
from core.linalg.threads import array
from core.spec.errors import IllConditioned

_BLOCK = 256  # columns up to which a matrix is factored and inverted by LAPACK alone
_LEAF = 192  # columns up to which LAPACK takes what is left of a larger one


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
    if len(lower) <= (_BLOCK if lower.is_cuda else _LEAF):
        inverse.copy_(_inverse(lower))
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
    """Lower L [k, k] with LLᵀ = matrix. k³/6. Raises IllConditioned."""
    if matrix.is_cuda or len(matrix) <= _BLOCK:
        return _corner(matrix, layer, damping)
    lower = matrix.clone(memory_format=torch.contiguous_format)
    _by_halves(lower, layer, damping)
    return lower.tril_()


def solve_right(tall: Tensor, *, layer: str = "layer", damping: float = 0.0) -> Tensor:
    """R·A⁻¹ [r, k] of `tall` [k + r, k], A [k, k] symmetric positive definite with R below it; on a CPU `tall` is overwritten.

    k³/6 + r·k². Raises IllConditioned.
    """
    size = tall.shape[1]
    right = tall[size:]
    if tall.is_cuda or size <= _BLOCK:
        lower = _corner(tall[:size], layer, damping)
        return torch.cholesky_solve(right.mT, lower).mT if right.numel() else right
    _back_by_halves(tall[:size], right, _by_halves(tall, layer, damping))
    return right


def _by_halves(tall: Tensor, layer: str, damping: float) -> list[Tensor]:
    """In place: `tall` [k + r, k], A with R below it, becomes L with R·L⁻ᵀ below it, LLᵀ = A; above L's diagonal anything may be left.

    With A₁₁ = L₁₁L₁₁ᵀ and [L₂₁; R₁] = [A₂₁; R₁]L₁₁⁻ᵀ the right half goes on with [A₂₂; R₂] − [L₂₁; R₁]L₂₁ᵀ. Returns the inverses of
    L's corners, from the first to the last.
    """
    size = tall.shape[1]
    if size <= _LEAF:
        corner = _corner(tall[:size], layer, damping)
        inverse = _inverse(corner)
        tall[:size] = corner
        tall[size:] = product(tall[size:], inverse.mT)
        return [inverse]
    half = _half(size)
    first = _by_halves(tall[:, :half], layer, damping)
    for start in range(half, size, _BLOCK):  # below the diagonal only
        stop = min(start + _BLOCK, size)
        add_product(tall[start:, start:stop], tall[start:, :half], tall[start:stop, :half].mT, -1)
    return first + _by_halves(tall[half:, half:], layer, damping)


def _back_by_halves(lower: Tensor, right: Tensor, inverses: list[Tensor]) -> None:
    """In place: `right` [r, k] becomes right·L⁻¹, from the last columns to the first; takes the corners' inverses off the list's end."""
    size = len(lower)
    if size <= _LEAF:
        right.copy_(product(right, inverses.pop()))
        return
    half = _half(size)
    _back_by_halves(lower[half:, half:], right[:, half:], inverses)
    add_product(right[:, :half], right[:, half:], lower[half:, :half], -1)
    _back_by_halves(lower[:half, :half], right[:, :half], inverses)


def _half(size: int) -> int:
    return -(-size // 32) * 16


def _corner(matrix: Tensor, layer: str, damping: float) -> Tensor:
    """L by LAPACK, of a matrix whose lower triangle alone is read. Raises IllConditioned with the pivot that failed."""
    lower, info = torch.linalg.cholesky_ex(matrix)
    failed = int(info)
    if failed:
        raise IllConditioned(layer, _failed_pivot(matrix, failed - 1), damping)
    return lower


def _inverse(lower: Tensor) -> Tensor:
    """L⁻¹ [k, k] of a matrix of a few columns."""
    if lower.is_cuda:
        return torch.linalg.solve_triangular(lower, torch.eye(len(lower), dtype=lower.dtype, device=lower.device), upper=False)
    inverse = torch.empty_like(lower, memory_format=torch.contiguous_format)
    invert_lower(array(lower), inverse.numpy())
    return inverse


def _failed_pivot(matrix: Tensor, index: int) -> float:
    """The pivot that was not positive: the Schur complement of the leading `index` rows, in float64."""
    leading = matrix[: index + 1, : index + 1].double()
    if index == 0:
        return float(leading[0, 0])
    lower = torch.linalg.cholesky_ex(leading[:index, :index])[0]
    row = torch.linalg.solve_triangular(lower, leading[index:, :index].mT, upper=False)
    return float(leading[index, index] - (row * row).sum())
