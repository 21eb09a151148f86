"""Exchanges of a kept with a pruned entry, each judged exactly: where a mask cannot be bettered by one entry alone.

Every exchange lowers tr((Ŵ−W)H(Ŵ−W)ᵀ) with all kept entries of the block at their best before and after. A layer no wider than
`width` is one block, and A = H. Else no row can afford the curvature of all its own columns. Inside a block it has its own
(core/linalg/rows.py keeps A_KK⁻¹ up to date); outside, the kept entries follow as an average row's would, with d the kept share:

    A = H_BB − d·H_BO (d·H_OO + (1−d)·diag H_OO)⁻¹ H_OB

and conjugate gradients then take them where they belong. Columns are searched twice: with those that can stand for them, then
with others. Whole columns are exchanged with one table for all rows.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.linalg.cancellation import check_cancelled
from core.linalg.cholesky import cholesky
from core.linalg.conjugate_gradients import cg_steps
from core.linalg.cpu.column_swaps import exchange_columns_range
from core.linalg.products import add_product, product
from core.linalg.rows import exchange
from core.linalg.swaps_batched import Exchanged

_LEAST = 1e-4  # of a row's mean loss: what an exchange must gain
_MARGINS = 8  # entries at most that a row lends or borrows
_LEAST_COLUMNS = 1e-5  # of the layer's loss


def exchange_entries(problem: LayerProblem, damping: float, weight: Tensor, residual: Tensor, pruned: Tensor, *, m: int, kept: float,
                     width: int, patience: int, steps: int) -> None:
    """`steps` conjugate gradients after each block; weight [c, b], residual (W−Ŵ)H and pruned change in place.

    `kept` is the share of the layer's entries that stay; with m > 0 every group of m keeps its n. Rows without groups lend each other
    entries after a block's first search (`_lend`), and every column is searched twice. c·b·width·(width/4 + 5/4·exchanges a row)
    multiply-adds for each of the two; where b > width 2(1 + steps)·b/width products and, shared by layers with this input, 2·b/width
    times b³/3.
    """
    hessian, unit = problem.hessian(damping), m or 1
    blocks = problem.shared(("exchange", damping, unit, width, kept), lambda: _blocks(problem, hessian, damping, unit, width, kept))
    turns = [(block, False) for block in blocks]
    if not m and patience:  # near ones, or the only one, lend; then there is another search
        turns = [(block, at < max(1, len(blocks) // 2)) for at, block in enumerate(blocks * (2 if len(blocks) == 1 else 1))]
    least = _LEAST * float(((problem.working_weight - weight) * residual).sum()) / len(weight)
    for (block, system), lends in turns:
        part, mask = weight[:, block], pruned[:, block]
        linear = add_product(residual[:, block], part, system)
        done = exchange(system, linear, mask, barred=problem.dead[block], m=m, least=least, patience=patience, margins=_MARGINS * lends)
        unchanged = (done.pruned == mask).all(1, keepdim=True)
        found = torch.where(unchanged, part, done.solution)  # a row that exchanged nothing is as it was
        after = _lend(done) if lends else done.pruned
        found *= ~after
        add_product(residual, found - part, hessian[block], -1)
        weight[:, block], pruned[:, block] = found, after
        if len(blocks) > 1:
            cg_steps(hessian, weight, residual, pruned, iterations=steps)


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


def _blocks(problem: LayerProblem, hessian: Tensor, damping: float, unit: int, width: int, kept: float) -> list[tuple[Tensor, Tensor]]:
    """(columns, A) of each block, of whole groups; the columns of a last short group are kept by every row, and follow exactly."""
    size = len(hessian)
    whole = size - size % unit
    if whole == size <= width:
        return [(torch.arange(size, device=hessian.device), hessian)]
    found: list[tuple[Tensor, Tensor]] = []
    columns = problem.shared(("columns of blocks", damping, unit, width), lambda: _columns_of_blocks(
        hessian[:whole, :whole], unit, max(1, width // unit)))
    for block in columns:
        share = torch.full_like(hessian.diagonal(), kept).index_fill_(0, block, 1)
        share[whole:] = 1
        outside = torch.ones_like(share, dtype=torch.bool).index_fill_(0, block, False).nonzero()[:, 0]
        order = torch.cat([outside, block])
        mixed = hessian[order][:, order] * share[order].sqrt() * share[order].sqrt()[:, None]
        mixed.diagonal().copy_(hessian.diagonal()[order])
        lower = cholesky(mixed, layer=problem.name)[len(outside) :, len(outside) :]
        found.append((block, product(lower, lower.T)))
    return found


def _columns_of_blocks(hessian: Tensor, unit: int, units: int) -> list[Tensor]:
    """Blocks of `units` groups that are most correlated, H_jk²/(H_jj H_kk) summed; then every k-th group of that order."""
    scale = hessian.diagonal().rsqrt()
    alike = (hessian * scale * scale[:, None]).square().unflatten(1, (-1, unit)).sum(2).unflatten(0, (-1, unit)).sum(1).cpu()
    taken, order = torch.zeros(len(alike), dtype=alike.dtype), list[int]()  # −∞ for what is in a block
    score = taken  # likeness to the block's groups so far
    for at in range(len(alike)):
        begins = at % units == 0
        best = int((alike[:, taken == 0].sum(1) + taken if begins else score).argmax())
        order.append(best)
        taken[best] = -torch.inf
        score = (taken if begins else score + taken) + alike[best]
    groups = torch.tensor(order)
    near = list(groups.split(units))
    spread = [groups[start :: len(near)] for start in range(len(near))] if len(near) > 1 else []
    return [(block[:, None] * unit + torch.arange(unit)).flatten().to(hessian.device) for block in near + spread]


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
