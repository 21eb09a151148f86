"""`core.exchange_kernel` on a GPU: the tables of many rows at once; a row that is done waits for the others."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from core.exchange_kernel import TENURE

if TYPE_CHECKING:
    from core.rows import Exchanged

_CHUNK_BYTES = 64 << 20  # of tables at a time


def exchange_batched(system: Tensor, linear: Tensor, barred: Tensor, m: int, least: float, patience: int, floor: Tensor,
                     found: Exchanged) -> None:
    """As `exchange_range`, into `found`."""
    size = len(system)
    chunk = max(1, _CHUNK_BYTES // ((size + 1) ** 2 * system.element_size()))
    group = torch.arange(size, device=system.device) // max(m, 1)
    same = (group[:, None] == group) if m else torch.ones(size, size, dtype=torch.bool, device=system.device)
    for start in range(0, len(linear), chunk):
        rows = slice(start, start + chunk)
        mask = found.pruned[rows]
        table = torch.zeros(len(mask), size + 1, size + 1, dtype=system.dtype, device=system.device)
        table[:, :size, :size], table[:, size, :size], table[:, :size, size] = system, linear[rows], linear[rows]
        sound = torch.ones(len(mask), dtype=torch.bool, device=system.device)
        for k in range(size):
            sound &= mask[:, k] | (table[:, k, k] > floor[k])
            _pivot(table, torch.full_like(sound, k, dtype=torch.long), 1, ~mask[:, k])
        _search(table, mask, same & ~barred[:, None], floor, least, patience, sound)
        found.solution[rows] = table[:, size, :size].masked_fill(mask, 0).masked_fill(~sound[:, None], torch.nan)
        _next_ones(table, mask, barred, floor, False, sound, found.costs[rows], found.going[rows])
        _next_ones(table, mask, barred, floor, True, sound, found.gains[rows], found.coming[rows])


def _search(table: Tensor, mask: Tensor, same: Tensor, floor: Tensor, least: float, patience: int, sound: Tensor) -> None:
    """Tabu search of all rows side by side; `mask` [rows, B] and the tables end at each row's best."""
    rows, size = mask.shape
    going, every = sound.clone(), torch.arange(rows, device=mask.device)
    tenure = 1 + torch.stack([mask.sum(1) // 3, (~mask).sum(1) // 3]).amin(0).clamp(max=TENURE)
    until = torch.zeros(rows, size, dtype=torch.long, device=mask.device)
    trail = torch.zeros(rows, max(patience, 1), 2, dtype=torch.long, device=mask.device)
    since = torch.zeros(rows, dtype=torch.long, device=mask.device)
    gained = torch.zeros(rows, dtype=torch.float64, device=mask.device)
    best = gained.clone()
    for move in range(8 * size):
        square, last = table[:, :size, :size], table[:, size, :size]
        diagonal = square.diagonal(dim1=1, dim2=2)
        moved = last / diagonal
        left = last[:, None] - square * moved[:, :, None]  # [row, in, out]
        net = (last * moved)[:, :, None] - left.square() / (square.square() / diagonal[:, :, None] - diagonal[:, None])
        held = until > move
        allowed = same & (mask & (diagonal > floor))[:, :, None] & ~mask[:, None]
        allowed &= (~held[:, :, None] & ~held[:, None]) | (net > (best - gained + least)[:, None, None])
        gain, where = net.masked_fill(~allowed, -torch.inf).flatten(1).max(1)
        going = going & (gain > (least if patience == 0 else -torch.inf))
        if not bool(going.any()):
            break
        into, out = where // size, where % size
        _pivot(table, into, 1, going)
        _pivot(table, out, -1, going)
        at = every[going]
        mask[at, into[at]], mask[at, out[at]] = False, True
        until[at, into[at]] = until[at, out[at]] = move + 1 + tenure[at]
        trail[at, since[at]] = torch.stack([into, out], 1)[at]
        gained[at] += gain[at].double()
        since[at] += 1
        better = going & (gained > best + least)
        best = torch.where(better, gained, best)
        since.masked_fill_(better, 0)
        going = going & (better | (since < patience))
    for back in range(int(since.max()) - 1, -1, -1):
        undone = since > back
        into, out = trail[:, back, 0], trail[:, back, 1]
        _pivot(table, out, 1, undone)
        _pivot(table, into, -1, undone)
        at = every[undone]
        mask[at, into[at]], mask[at, out[at]] = True, False


def _next_ones(table: Tensor, mask: Tensor, barred: Tensor, floor: Tensor, coming: bool, sound: Tensor, values: Tensor,
               entries: Tensor) -> None:
    """Fills `values` and `entries` [rows, k]; tables and mask are afterwards as they were."""
    rows, size = mask.shape
    mask, every = mask.clone(), torch.arange(rows, device=mask.device)
    for place in range(values.shape[1]):
        diagonal = table.diagonal(dim1=1, dim2=2)[:, :size]
        worth = table[:, size, :size].square() / diagonal
        fits = (mask & ~barred & (diagonal > floor) if coming else ~mask) & sound[:, None]
        best, at = worth.masked_fill(~fits, -torch.inf).max(1)
        there = best > -torch.inf
        values[:, place] = torch.where(there, best.abs(), values[:, place])
        entries[:, place] = torch.where(there, at, -1)
        _pivot(table, at, 1 if coming else -1, there)
        mask[every[there], at[there]] = not coming
    for place in range(values.shape[1] - 1, -1, -1):
        _pivot(table, entries[:, place].clamp(min=0), -1 if coming else 1, entries[:, place] >= 0)


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
