"""What is done to every row on its own: subset systems and column sweeps. Compiled on a CPU, batched on a GPU.

On a CPU the rows are shared out over as many threads as torch uses. No row looks at another, so the split moves no bit.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from core.row_kernel import exchange_range, solve_rows_range, sweep_range, trace_range

_CHUNK_BYTES = 64 << 20  # of batched systems on a GPU at a time


def solve_subsets(system: Tensor, weight: Tensor, subset: Tensor) -> Tensor:
    """X [c, B], zero off the subset, with (A_SS) X_S = weight_S in every row, S = the row's True columns of `subset`.

    A = `system` [B, B] symmetric positive definite, weight [c, B], subset bool [c, B]; Σ|S|³/6 multiply-adds.
    A system that rounding has left indefinite gives NaN.
    """
    if system.is_cuda:
        return _solve_batched(system, weight, subset)
    solution = torch.zeros(weight.shape, dtype=weight.dtype)
    _over_rows(solve_rows_range, (system, weight, subset, solution), rows=len(weight), work=int(subset.count_nonzero()) * len(system))
    return solution


def sweep(block: Tensor, errors: Tensor, corner: Tensor, pruned: Tensor, begin: int) -> None:
    """The columns from `begin` on that `pruned` [c, k] covers, left to right: e = w_j/U_jj, then w_{j:} −= e·U[j, j:].

    block [c, B] and errors [c, B] change in place (contiguous on a CPU); corner = U [B, B]; pruned entries become 0.
    """
    if block.is_cuda:
        _sweep_columns(block, errors, corner, pruned, begin)
        return
    work = int(pruned.count_nonzero()) * len(corner)
    _over_rows(sweep_range, (block, errors, corner, pruned, begin, begin + pruned.shape[1]), rows=len(block), work=work)


def trace(inverse: Tensor, weight: Tensor, dead: Tensor, length: int, *, n: int = 0, m: int = 0) -> tuple[Tensor, Tensor]:
    """The first `length` greedy removals of every row, as (order int64 [c, length], costs float64 [c, length]); CPU tensors.

    inverse = H⁻¹ [b, b], weight [c, b], dead bool [b]; with m > 0 at most n of every m columns. c·b³/3 multiply-adds.
    """
    order = torch.zeros(len(weight), length, dtype=torch.int64)
    costs = torch.zeros(len(weight), length, dtype=torch.float64)
    _over_rows(trace_range, (inverse.double().cpu(), weight.double().cpu(), dead.cpu(), n, m, order, costs),
               rows=len(weight), work=len(weight) * len(inverse) ** 3)
    return order, costs


def exchange(system: Tensor, linear: Tensor, pruned: Tensor, *, m: int = 0, least: float = 0.0) -> tuple[Tensor, Tensor]:
    """Row by row, while it gains more than `least`, the best exchange of a kept entry with a pruned one; returns (x, mask) [c, B].

    Minimises xAx − 2gx with x zero on the mask, A = `system` [B, B] positive definite, g = a row of `linear` [c, B]; with m > 0 inside
    groups of m columns. Every exchange is judged with all kept entries at their best. Rows whose A_KK is singular in this arithmetic
    are NaN in x and keep their mask. B³/4 multiply-adds a row at half the entries, and B² an exchange.
    """
    floor = 10 * torch.finfo(system.dtype).eps * system.diagonal()
    mask, solution = pruned.clone(memory_format=torch.contiguous_format), torch.zeros_like(linear, memory_format=torch.contiguous_format)
    if system.is_cuda:
        _exchange_batched(system, linear, mask, m, least, floor, solution)
    else:
        _over_rows(exchange_range, (system, linear, mask, m, least, floor, solution), rows=len(mask), work=len(mask) * len(system) ** 3)
    return solution, mask


def _over_rows(kernel: Callable[..., None], arguments: tuple[Tensor | float, ...], *, rows: int, work: int) -> None:
    """`kernel(*arguments, first, last)` over ranges that cover all rows, on threads where the work is worth it."""
    arrays: list[np.ndarray | float] = [_array(value) if isinstance(value, Tensor) else value for value in arguments]
    threads = min(torch.get_num_threads(), rows, 1 + work // 100_000)
    if threads == 1:
        kernel(*arrays, 0, rows)
        return
    bounds = [rows * i // threads for i in range(threads + 1)]
    for done in [_pool(threads).submit(kernel, *arrays, a, z) for a, z in pairwise(bounds)]:
        done.result()


def _array(value: Tensor) -> np.ndarray:
    """The tensor's memory where it is contiguous (outputs are), else a copy."""
    return value.contiguous().numpy()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="rows")


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


def _exchange_batched(system: Tensor, linear: Tensor, pruned: Tensor, m: int, least: float, floor: Tensor, solution: Tensor) -> None:
    """`exchange_range` on a GPU: the tables [rows, B+1, B+1] of many rows at once; a row that is done waits for the others."""
    size = len(system)
    chunk = max(1, _CHUNK_BYTES // ((size + 1) ** 2 * system.element_size()))
    group = torch.arange(size, device=system.device) // max(m, 1)
    same = (group[:, None] == group) if m else torch.ones(size, size, dtype=torch.bool, device=system.device)
    for mask, wanted, found in zip(pruned.split(chunk), linear.split(chunk), solution.split(chunk), strict=True):
        table = torch.zeros(len(mask), size + 1, size + 1, dtype=system.dtype, device=system.device)
        table[:, :size, :size], table[:, size, :size], table[:, :size, size] = system, wanted, wanted
        sound = torch.ones(len(mask), dtype=torch.bool, device=system.device)
        for k in range(size):
            sound &= mask[:, k] | (table[:, k, k] > floor[k])
            _pivot(table, torch.full_like(sound, k, dtype=torch.long), 1, ~mask[:, k])
        going = sound.clone()
        for _ in range(size):
            square, last = table[:, :size, :size], table[:, size, :size]
            diagonal = square.diagonal(dim1=1, dim2=2)
            moved = last / diagonal
            left = last[:, None] - square * moved[:, :, None]  # [row, in, out]
            net = (last * moved)[:, :, None] - left.square() / (square.square() / diagonal[:, :, None] - diagonal[:, None])
            allowed = same & (mask & (diagonal > floor))[:, :, None] & ~mask[:, None]
            best, where = net.masked_fill(~allowed, -torch.inf).flatten(1).max(1)
            going &= best > least
            if not bool(going.any()):
                break
            into, out = where // size, where % size
            _pivot(table, into, 1, going)
            _pivot(table, out, -1, going)
            mask[going, into[going]], mask[going, out[going]] = False, True
        found.copy_(table[:, size, :size].masked_fill(mask, 0).masked_fill(~sound[:, None], torch.nan))


def _pivot(table: Tensor, at: Tensor, sign: int, active: Tensor) -> None:
    """The symmetric sweep of every active row's table at its own entry."""
    rows = active.nonzero()[:, 0]
    part, at = table[rows], at[rows]
    every = torch.arange(len(rows), device=table.device)
    column = part[every, at]
    inverse = 1 / column[every, at]
    column[every, at] = 0
    part.baddbmm_((column * -inverse[:, None])[:, :, None], column[:, None])
    part[every, at] = part[every, :, at] = sign * inverse[:, None] * column
    part[every, at, at] = -inverse
    table[rows] = part
