"""Compensation of removed weights by kept ones, for a mask chosen on the way (the methods) or given (core/layer/updates.py).

H⁻¹ = UᵀU with U upper triangular, so [H_{j:,j:}]⁻¹ = U[j:,j:]ᵀU[j:,j:] for every j: one factorization serves all blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.linalg.cholesky import solve_right
from core.linalg.damping import damped, with_raised_damping
from core.linalg.products import add_product, product
from core.linalg.row_systems import solve_rows
from core.linalg.submatrices import part, spread
from core.spec.errors import IllConditioned

# (the columns from `start` on as they are now, at least until `stop`; start; stop) -> the mask of the columns start … stop−1
Chooser = Callable[[Tensor, int, int], Tensor]
# (block W[:, start:stop], its errors e, U[start:stop, start:stop], start): one of the sweeps of core/linalg/rows.py over the block
Sweeper = Callable[[Tensor, Tensor, Tensor, int], None]


def sweep_blocks(weight: Tensor, upper: Tensor, sweep: Sweeper, *, size: int) -> Iterator[tuple[int, int, Tensor]]:
    """SparseGPT's update, in place: column by column, w_j's error is compensated in the columns to its right.

    e = w_j/U_jj where pruned, W[:, j:] −= e·U[j, j:]: inside a block of `size` columns at once, to its right by one product. After
    each block yields its bounds and e [c, size]: its removals cost Σe² of tr(ΔHΔᵀ). O(c·b²).
    """
    columns = weight.shape[1]
    for start in range(0, columns, size):
        stop = min(columns, start + size)
        block = weight[:, start:stop].contiguous()
        errors = torch.zeros_like(block)
        corner = upper[start:stop, start:stop].contiguous()
        sweep(block, errors, corner, start)
        weight[:, start:stop] = block
        if stop < columns:
            add_product(weight[:, stop:], errors, upper[start:stop, stop:], -1)
        yield start, stop, errors


def joint_blocks(problem: LayerProblem, weight: Tensor, upper: Tensor, choose: Chooser, *, size: int,
                 damping: float) -> Iterator[tuple[int, int, Tensor]]:
    """Thanos's update, in place: all removals of a row in a block of `size` columns make up for themselves together, to the right.

    With D = U[J,J] and P = U[J, j:]: (DᵀD)_SS Λ_S = w_S per row, W[:, j:] −= (ΛDᵀ)P. After each block yields its bounds and what
    its removals cost of tr(ΔHΔᵀ), Σ Λ·W. Σ min(|S|, B−|S|)³/6 for the rows, c·b² for the products. Raises IllConditioned, at the
    end where rounding has left a row's system indefinite.
    """
    columns, total = weight.shape[1], weight.new_zeros(())
    for start in range(0, columns, size):
        stop = min(columns, start + size)
        mask = choose(weight[:, start:], start, stop)
        corner, block = upper[start:stop, start:stop], weight[:, start:stop]
        solution = solve_rows(product(corner.T, corner), block, mask, layer=problem.name, damping=damping)
        cost = (solution * block).sum(0).masked_fill_(problem.dead[start:stop], 0).sum()
        add_product(weight[:, start:], product(solution, corner.T), upper[start:stop, start:], -1)
        total = total + cost
        yield start, stop, cost
    if not bool(total.isfinite()):
        raise IllConditioned(problem.name, 0.0, damping)


def remove_columns(problem: LayerProblem, removed: Tensor, damping: float, *,
                   may_raise: bool) -> tuple[Tensor, Callable[[], Tensor], float]:
    """Whole columns S at once, `removed` bool [b]: Δ_K = W_S H_SK (H_KK)⁻¹ (Ilin & Richtárik 2025, Eq. 13).

    From the right or from the left, what is less work. Returns W [c, b], what counts its cost in tr(ΔHΔᵀ) when it is called (a scalar),
    and the λ it took. (b−s)³/6 + min(c, s)(b−s)² + cs(b−s); the cost cs² beyond that. Raises IllConditioned.
    """
    gram, gone, kept = problem.working_gram, removed.nonzero()[:, 0], (~removed).nonzero()[:, 0]
    taken = problem.working_weight.index_select(1, gone)
    from_right = len(gone) <= len(taken)

    def attempt(value: float) -> Tensor:
        below = gone if from_right else gone[:0]
        tall = part(gram, torch.cat([kept, below]), kept)  # H_KK, and H_SK = G_SK: λ is on the diagonal alone
        tall.diagonal().add_(damped(gram.diagonal(), value)[kept])
        if not from_right:
            tall = torch.cat([tall, product(taken, part(gram, gone, kept))])
        return solve_right(tall, layer=problem.name, damping=value)

    solved, damping = with_raised_damping(attempt, damping, may_raise=may_raise)
    change = product(taken, solved) if from_right else solved
    weight = spread(problem.working_weight, change, removed)

    def cost() -> Tensor:
        """tr(W_S (H_SS − H_SK (H_KK)⁻¹ H_KS) W_Sᵀ)"""
        alive = taken.masked_fill(problem.dead[gone], 0)
        within, pulled = part(problem.hessian(damping), gone, gone), part(gram, kept, gone)
        return (product(alive, within) * alive).sum() - (product(change, pulled) * alive).sum()

    return weight, cost, damping
