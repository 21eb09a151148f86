"""Operations on every row on its own: subset systems and column sweeps. Compiled on a CPU, batched on a GPU.

On a CPU the rows are shared out over threads (core/linalg/threads.py).
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import Tensor

from core.linalg.cancellation import check_cancelled
from core.linalg.cpu.descents import TOGETHER, adam_range, adam_step_range, conjugate_range, conjugate_step_range, gradient_range
from core.linalg.cpu.greedy_trace import columns_range, trace_range
from core.linalg.cpu.row_systems import solve_rows_range
from core.linalg.cpu.swaps import exchange_range
from core.linalg.cpu.sweeps import choose_groups_range, sweep_groups_range, sweep_range
from core.linalg.products import available
from core.linalg.swaps_batched import Exchanged, exchange_batched
from core.linalg.threads import array, map_row_ranges, turns

_CHUNK_BYTES = 64 << 20  # of batched systems on a GPU at a time
_MATRIX = 1024  # columns: beyond it a matrix leaves the second cache, and a library's product is as fast as ours
_MATRIX_BESIDE_FAST = 256  # where core/linalg/products.py has a faster one


def solve_subsets(system: Tensor, weight: Tensor, subset: Tensor) -> Tensor:
    """X [c, B], zero off the subset, with (A_SS) X_S = weight_S in every row, S = the row's True columns of `subset`.

    A = `system` [B, B] symmetric positive definite, weight [c, B], subset bool [c, B]; Σ|S|³/6 multiply-adds.
    A system that rounding has left indefinite gives NaN.
    """
    if system.is_cuda:
        return _solve_batched(system, weight, subset)
    solution = torch.zeros(weight.shape, dtype=weight.dtype)
    map_row_ranges(solve_rows_range, (system, weight, subset, solution), rows=len(weight), work=int(subset.count_nonzero()) * len(system))
    return solution


def sweep(block: Tensor, errors: Tensor, corner: Tensor, pruned: Tensor, begin: int) -> None:
    """The columns from `begin` on that `pruned` [c, k] covers, left to right: e = w_j/U_jj, then w_{j:} −= e·U[j, j:].

    block [c, B] and errors [c, B] change in place (contiguous on a CPU); corner = U [B, B]; pruned entries become 0.
    """
    if block.is_cuda:
        _sweep_columns(block, errors, corner, pruned, begin)
        return
    work = int(pruned.count_nonzero()) * len(corner)
    map_row_ranges(sweep_range, (block, errors, corner, pruned, begin, begin + pruned.shape[1]), rows=len(block), work=work)


def sweep_groups(block: Tensor, errors: Tensor, corner: Tensor, dead: Tensor, n: int, m: int) -> Tensor:
    """The sweep of a whole block of n:m, each group's mask chosen as the sweep comes to it: the n of least (w_j/U_jj)². Returns it [c, B].

    As `sweep` in all else; dead bool [B] go first. CPU tensors; float32 or float64.
    """
    pruned = torch.zeros(block.shape, dtype=torch.bool)
    work = n * block.numel() // m * len(corner)
    map_row_ranges(sweep_groups_range, (block, errors, corner, dead, n, m, pruned), rows=len(block), work=work)
    return pruned


def choose_groups(scores: Tensor, n: int, m: int) -> Tensor:
    """Mask [c, b] of `core.layer.masks.smallest_in_groups`, for float scores on a CPU."""
    chosen = torch.zeros(scores.shape, dtype=torch.bool)
    map_row_ranges(choose_groups_range, (scores, n, m, chosen), rows=len(scores), work=scores.numel() * m)
    return chosen


def trace(inverse: Tensor, weight: Tensor, dead: Tensor, length: int, *, n: int = 0, m: int = 0) -> tuple[Tensor, Tensor]:
    """The first `length` greedy removals of every row, as (order int64 [c, length], costs float64 [c, length]); CPU tensors.

    inverse = H⁻¹ [b, b], weight [c, b], dead bool [b]; with m > 0 at most n of every m columns. c·b³/6 multiply-adds.
    """
    order = torch.zeros(len(weight), length, dtype=torch.int64)
    costs = torch.zeros(len(weight), length, dtype=torch.float64)
    map_row_ranges(trace_range, (inverse.double().cpu(), weight.double().cpu(), dead.cpu(), n, m, order, costs),
               rows=len(weight), work=len(weight) * len(inverse) ** 3 // 6)
    return order, costs


def trace_columns(inverse: Tensor, weight: Tensor, dead: Tensor, count: int) -> Tensor:
    """The mask bool [b] of the first `count` whole columns that go greedily, at the sum of all rows' costs; CPU tensors, as in `trace`.

    c·b² multiply-adds for WᵀW, and b² a removal. Raises Cancelled between some of them.
    """
    left, cross = inverse.double().clone(memory_format=torch.contiguous_format), weight.double().T @ weight.double()
    removed = torch.zeros_like(dead)
    for _, some in turns(count, TOGETHER * len(dead) ** 2):
        check_cancelled()
        columns_range(array(left), array(cross), array(dead), array(removed), some)
    return removed


def exchange(system: Tensor, linear: Tensor, pruned: Tensor, *, barred: Tensor | None = None, m: int = 0, least: float = 0.0,
             patience: int = 0, margins: int = 0) -> Exchanged:
    """Row by row, exchanges of a kept entry with a pruned one, each the best there is; ends at the best mask seen.

    Minimizes xAx − 2gx with x zero on the mask, A = `system` [B, B] positive definite, g = a row of `linear` [c, B]; with m > 0 inside
    groups of m columns; what is `barred` (bool [B]) never comes back. Every exchange is judged with all kept entries at their best.
    With patience 0 it ends where none gains more than `least`; else it goes on through exchanges that lose, until so many have led to
    nothing better (tabu search, Glover 1989). `margins` is the k of `Exchanged`. Rows whose A_KK is singular in this arithmetic are
    NaN in x and keep their mask. B³/4 multiply-adds a row at half the entries, and 5/4·B² an exchange.
    """
    floor = 10 * torch.finfo(system.dtype).eps * system.diagonal()
    rows = len(pruned)
    barred = torch.zeros_like(floor, dtype=torch.bool) if barred is None else barred
    found = Exchanged(
        solution=torch.zeros_like(linear, memory_format=torch.contiguous_format),
        pruned=pruned.clone(memory_format=torch.contiguous_format),
        costs=linear.new_full((rows, margins), torch.inf), going=torch.full((rows, margins), -1, device=pruned.device),
        gains=linear.new_zeros(rows, margins), coming=torch.full((rows, margins), -1, device=pruned.device))
    if system.is_cuda:
        exchange_batched(system, linear, barred, m, least, patience, floor, found)
    else:
        told = (found.solution, found.costs, found.going, found.gains, found.coming)
        map_row_ranges(exchange_range, (system, linear, found.pruned, barred, m, least, patience, floor, *told), rows=rows,
                   work=rows * len(system) ** 3)
    return found


def descends(matrix: Tensor, *state: Tensor) -> bool:
    """True if the compiled iterations below accept these: on a CPU, contiguous, of one float dtype, the matrix small enough."""
    most = _MATRIX_BESIDE_FAST if matrix.dtype == torch.float32 and available() else _MATRIX
    return len(matrix) <= most and passes(matrix, *state)


def passes(matrix: Tensor, *state: Tensor) -> bool:
    """True if the compiled passes over rows accept these: on a CPU, contiguous, of one float dtype."""
    return (not matrix.is_cuda and matrix.dtype in (torch.float32, torch.float64)
            and all(part.is_contiguous() and part.dtype == matrix.dtype for part in state))


def conjugate_gradients(system: Tensor, scale: Tensor, solution: Tensor, residual: Tensor, direction: Tensor, slope: Tensor,
                        times: int) -> Tensor:
    """`times` iterations of Jacobi-CG in place (core/linalg/conjugate_gradients.py); returns the decrease of each row's error [c]."""
    gained = torch.zeros_like(slope)
    for _, some in turns(times, TOGETHER * len(system) ** 2):
        map_row_ranges(conjugate_range, (system, scale, solution, residual, direction, slope, gained, some), rows=len(solution),
                   work=some * solution.numel() * len(system))
    return gained


def conjugate_step(images: Tensor, scale: Tensor, solution: Tensor, residual: Tensor, direction: Tensor, slope: Tensor,
                   gained: Tensor) -> None:
    """One iteration of Jacobi-CG for which direction·H = `images` [c, b] is there; all change in place, `gained` [c] grows."""
    map_row_ranges(conjugate_step_range, (images, scale, solution, residual, direction, slope, gained), rows=len(solution),
               work=8 * solution.numel())


def adam(gram: Tensor, scale: Tensor, moved: Tensor, mean: Tensor, square: Tensor, *, rate: float, done: int, times: int) -> None:
    """Adam's steps done + 1 … done + times, its state changed in place (core/layer/descent.py)."""
    for before, some in turns(times, TOGETHER * len(gram) ** 2):
        map_row_ranges(adam_range, (gram, scale, moved, mean, square, rate, done + before, some), rows=len(moved),
                   work=some * moved.numel() * len(gram))


def adam_step(images: Tensor, scale: Tensor, moved: Tensor, mean: Tensor, square: Tensor, *, rate: float, done: int) -> None:
    """Adam's step done + 1, for which moved·G = `images` [c, b] is there."""
    map_row_ranges(adam_step_range, (images, scale, moved, mean, square, rate, done + 1), rows=len(moved), work=8 * moved.numel())


def gradient_steps(gram: Tensor, rate: Tensor, original: Tensor, weight: Tensor, times: int) -> None:
    """`times` times weight −= rate·((weight − original)·G), all [c, b] but G [b, b]."""
    for _, some in turns(times, TOGETHER * len(gram) ** 2):
        map_row_ranges(gradient_range, (gram, rate, original, weight, some), rows=len(weight), work=some * weight.numel() * len(gram))


def _sweep_columns(block: Tensor, errors: Tensor, corner: Tensor, pruned: Tensor, begin: int) -> None:
    """The sweep on a GPU: all rows at once, a column at a time; no value comes to the host."""
    for j, column in enumerate(pruned.T, begin):
        error = block[:, j] * column / corner[j, j]
        errors[:, j] = error
        block[:, j:].addr_(error, corner[j, j:], alpha=-1)
        block[:, j].masked_fill_(column, 0)


def _solve_batched(system: Tensor, weight: Tensor, subset: Tensor) -> Tensor:
    """Rows and columns of the system outside the subset are replaced by the identity's; batched Cholesky, in chunks of rows."""
    size = len(system)
    chunk = max(1, _CHUNK_BYTES // (size * size * system.element_size()))
    parts: list[Tensor] = []
    for rows, mask in zip(weight.split(chunk), subset.split(chunk), strict=True):
        systems = system * (mask[:, :, None] & mask[:, None, :])
        systems.diagonal(dim1=1, dim2=2).add_((~mask).to(system.dtype))
        lower = torch.linalg.cholesky_ex(systems)[0]
        parts.append(torch.cholesky_solve((rows * mask)[:, :, None], lower)[:, :, 0])
    return torch.cat(parts)
