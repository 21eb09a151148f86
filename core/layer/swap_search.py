"""Swaps of a kept with a pruned entry, each judged exactly: where a mask cannot be bettered by one entry alone.

Every swap lowers tr((Ŵ−W)H(Ŵ−W)ᵀ) with all kept entries of the row at their best before and after (core/linalg/rows.py keeps H_KK⁻¹ up to
date). The columns R of a last short n:m group are kept by every row, and follow exactly: A = H_BB − H_BR H_RR⁻¹ H_RB in place of H.
Whole columns are swapped with one table for all rows.

Layers wider than a few hundred inputs are not searched: a row's table is b² numbers. A search of blocks of columns, each with an average
row's curvature outside it, was tried: where blocks are a small part of the layer it diverged (docs/methods/frontier.md).
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.linalg.cancellation import check_cancelled
from core.linalg.cholesky import cholesky
from core.linalg.cpu.column_swaps import exchange_columns_range
from core.linalg.products import add_product, product
from core.linalg.rows import exchange
from core.linalg.swaps_batched import Exchanged

_LEAST = 1e-4  # of a row's mean loss: what an exchange must gain
_MARGINS = 8  # entries at most that a row lends or borrows
_LEAST_COLUMNS = 1e-5  # of the layer's loss


def exchange_entries(problem: LayerProblem, damping: float, weight: Tensor, residual: Tensor, pruned: Tensor, *, m: int,
                     patience: int) -> None:
    """weight [c, b], residual (W−Ŵ)H and pruned change in place.

    With m > 0 every group of m keeps its n. Rows without groups lend each other entries (`_lend`) and are searched again.
    c·b²·(b/4 + 5/4·swaps a row) multiply-adds for each search.
    """
    hessian, size = problem.hessian(damping), weight.shape[1]
    block = slice(0, size - size % (m or 1))
    system = _schur(hessian, block.stop, problem.name)
    least = _LEAST * float(((problem.working_weight - weight) * residual).sum()) / len(weight)
    lends = not m and patience > 0
    for lend in (True, False) if lends else (False,):
        part, mask = weight[:, block], pruned[:, block]
        linear = residual[:, block] + product(part, system)
        done = exchange(system, linear, mask, barred=problem.dead[block], m=m, least=least, patience=patience, margins=_MARGINS * lend)
        unchanged = (done.pruned == mask).all(1, keepdim=True)
        found = torch.where(unchanged, part, done.solution)  # a row that exchanged nothing is as it was
        after = _lend(done) if lend else done.pruned
        found *= ~after
        add_product(residual, found - part, hessian[block], -1)
        weight[:, block], pruned[:, block] = found, after


def _schur(hessian: Tensor, size: int, layer: str) -> Tensor:
    """H_BB − H_BR H_RR⁻¹ H_RB for the first `size` columns B and the others, R."""
    if size == len(hessian):
        return hessian
    across = hessian[size:, :size]
    return hessian[:size, :size] - product(across.T, torch.cholesky_solve(across, cholesky(hessian[size:, size:], layer=layer)))


def _lend(done: Exchanged) -> Tensor:
    """The mask [c, B] after the entries that cost least have gone, and as many that gain most have come back, in other rows."""
    costs, gains = done.costs.cummax(1).values, done.gains.cummin(1).values  # in the order in which a row lets them go or in
    both = (gains[:, :1] > costs[:, :1]).expand_as(costs)  # such a row would lend and borrow, but the two depend on each other
    costs, gains = costs.masked_fill(both, torch.inf).flatten(), gains.masked_fill(both, 0).flatten()
    cheapest, best = costs.sort(stable=True), gains.sort(stable=True, descending=True)
    count = int((best.values > cheapest.values).sum())
    mask, width = done.pruned.clone(), done.costs.shape[1]
    for entries, order, gone in ((done.going, cheapest.indices, True), (done.coming, best.indices, False)):
        chosen = order[:count]
        mask[chosen // width, entries.flatten()[chosen]] = gone
    return mask


def exchange_columns(problem: LayerProblem, hessian: Tensor, weight: Tensor, inverse: Tensor, removed: Tensor) -> Tensor:
    """The mask [b] of whole columns once no exchange gains; `weight` is at its best for `removed`, `inverse` = H_KK⁻¹.

    One table for all rows (core/linalg/cpu/column_swaps.py); c·b²/4 multiply-adds for each exchange.
    """
    size, kept = len(hessian), ~removed
    residual = product(problem.working_weight - weight, hessian)
    table = torch.cat([hessian, torch.where(removed, residual, weight)])  # [b + c, b]
    gone, stay = removed.nonzero(), kept.nonzero()
    spread = product(hessian[gone, stay.T], inverse)
    table[stay, stay.T], table[gone, stay.T], table[stay, gone.T] = -inverse, spread, spread.T
    table[gone, gone.T] -= product(spread, hessian[stay, gone.T])
    least = _LEAST_COLUMNS * float((problem.working_weight * removed * residual).sum())
    floor = 10 * torch.finfo(hessian.dtype).eps * hessian.diagonal()
    if table.is_cuda:
        return ~_exchanged_batched(table, kept, problem.dead, floor, least)
    for _ in range(size):
        check_cancelled()
        if not exchange_columns_range(table.numpy(), kept.numpy(), problem.dead.numpy(), floor.numpy(), least, 1):
            break
    return ~kept


def _exchanged_batched(table: Tensor, kept: Tensor, dead: Tensor, floor: Tensor, least: float) -> Tensor:
    """The kept columns [b] of core/linalg/cpu/column_swaps.py's search, on a GPU: all pairs in one product, one value read an exchange."""
    size = len(kept)
    out, into = kept.nonzero()[:, 0], (~kept & ~dead).nonzero()[:, 0]  # as many after an exchange: what comes in takes the other's place
    for _ in range(size if len(out) and len(into) else 0):
        check_cancelled()
        square = table[:size]
        diagonal = square.diagonal()
        cross, pivot = square.index_select(0, into).index_select(1, out), diagonal.index_select(0, into)[:, None]
        weights, moved = table[size:].index_select(1, out), table[size:].index_select(1, into) / pivot.T
        left = weights.square().sum(0) - 2 * cross * (moved.T @ weights) + cross.square() * moved.square().sum(0)[:, None]
        net = moved.square().sum(0)[:, None] * pivot - left / (cross.square() / pivot - diagonal.index_select(0, out))
        best, at = net.masked_fill(pivot <= floor.index_select(0, into)[:, None], -torch.inf).flatten().max(0)
        if not bool(best > least):
            break
        place, other = (at // len(out)).view(1), (at % len(out)).view(1)
        j, i = into.index_select(0, place), out.index_select(0, other)
        _sweep(table, j, 1)
        _sweep(table, i, -1)
        out.index_copy_(0, other, j)
        into.index_copy_(0, place, i)
    return torch.zeros_like(kept).index_fill_(0, out, True)


def _sweep(table: Tensor, k: Tensor, sign: int) -> None:
    """Column k, int64 [1], enters (sign 1) or leaves (sign −1) the kept set."""
    column, row = table.index_select(1, k)[:, 0], table.index_select(0, k)[0]
    pivot = row.index_select(0, k)
    column.index_fill_(0, k, 0)
    row.index_fill_(0, k, 0)
    table.addr_(column / -pivot, row)
    table.index_copy_(1, k, (sign * column / pivot)[:, None])
    table.index_copy_(0, k, (sign * row / pivot).index_copy_(0, k, -1 / pivot)[None])
