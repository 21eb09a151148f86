"""`core.linalg.cpu.swaps` on a GPU: the tables of many rows at once, whole ones; the host asks once in some moves who still goes on."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from core.linalg.cancellation import check_cancelled
from core.linalg.cpu.swaps import TENURE
from core.linalg.tables_batched import flip, pivot, tables_of

_CHUNK_BYTES = 256 << 20  # of tables at a time
_BOUT = 8  # moves between two looks at which rows still go on


@dataclass(frozen=True, kw_only=True, eq=False)
class Exchanged:
    """`solution` x and mask `pruned` [c, B] of every row, and what its next entries would cost or gain.

    costs [c, k] of the next k to go, and which these are (`going`, int64); gains [c, k] of the next k to come back, and which
    (`coming`). Where there is none: infinite or 0, and −1.
    """

    solution: Tensor
    pruned: Tensor
    costs: Tensor
    going: Tensor
    gains: Tensor
    coming: Tensor


@dataclass(eq=False)
class _Search:
    """State of the search of some rows: tables [c, B+1, B+1], masks [c, B], until when an entry rests [c, B], the moves since the
    best mask [c, patience, 2], and for every row how many these are, what is gained, the most that was, its tenure, and if it goes on."""

    table: Tensor
    mask: Tensor
    until: Tensor
    trail: Tensor
    since: Tensor
    gained: Tensor
    best: Tensor
    tenure: Tensor
    going: Tensor

    def of(self, rows: Tensor) -> _Search:
        return _Search(*(getattr(self, field.name).index_select(0, rows) for field in fields(self)))

    def put(self, rows: Tensor, some: _Search) -> None:
        for field in fields(self):
            getattr(self, field.name).index_copy_(0, rows, getattr(some, field.name))


def exchange_batched(system: Tensor, linear: Tensor, barred: Tensor, m: int, least: float, patience: int, floor: Tensor,
                     found: Exchanged) -> None:
    """As `exchange_range`, into `found`; m divides B. Reads a value from the device once in `_BOUT` moves of a chunk of rows."""
    size = len(system)
    chunk = max(1, _CHUNK_BYTES // ((size + 1) ** 2 * system.element_size()))
    for start in range(0, len(linear), chunk):
        rows = slice(start, start + chunk)
        mask = found.pruned[rows]
        table, sound = tables_of(system, linear[rows], mask, floor)
        _search(table, mask, barred, m, floor, least, patience, sound)
        found.solution[rows] = table[:, size, :size].masked_fill(mask, 0).masked_fill(~sound[:, None], torch.nan)
        _next_ones(table, mask, barred, floor, False, sound, found.costs[rows], found.going[rows])
        _next_ones(table, mask, barred, floor, True, sound, found.gains[rows], found.coming[rows])


def _search(table: Tensor, mask: Tensor, barred: Tensor, m: int, floor: Tensor, least: float, patience: int, sound: Tensor) -> None:
    """Tabu search of all rows side by side; `mask` [rows, B] and the tables end at each row's best."""
    rows, size = mask.shape
    every = torch.zeros(rows, dtype=torch.long, device=mask.device)
    none = torch.zeros(rows, dtype=torch.float64, device=mask.device)
    tenure = 1 + torch.minimum(mask.sum(1), (~mask).sum(1)).floor_divide(3).clamp(max=TENURE)
    state = _Search(table=table, mask=mask, until=torch.zeros_like(mask, dtype=torch.long), since=every, gained=none, best=none.clone(),
                    trail=every.new_zeros(rows, max(patience, 1), 2), tenure=tenure, going=sound.clone())
    for move in range(0, 8 * size, _BOUT):
        check_cancelled()
        left = state.going.nonzero()[:, 0]
        if not len(left):
            break
        some = state.of(left)
        for later in range(_BOUT):
            _move(some, move + later, barred, m, floor, least, patience)
        state.put(left, some)
    for back in reversed(range(state.trail.shape[1])):
        undone = state.since > back
        into, out = state.trail[:, back, 0], state.trail[:, back, 1]
        for at, sign in ((out, 1), (into, -1)):
            pivot(table, at, sign, undone)
            flip(mask, at, undone)


def _move(state: _Search, move: int, barred: Tensor, m: int, floor: Tensor, least: float, patience: int) -> None:
    """The best exchange of every row that goes on."""
    above = (state.best - state.gained + least).to(floor.dtype)
    gain, into, out = _best(state.table, state.mask, barred, m, floor, state.until > move, above)
    going = state.going & (gain > (least if patience == 0 else -torch.inf))
    every = torch.arange(len(into), device=into.device)
    for at, sign in ((into, 1), (out, -1)):
        pivot(state.table, at, sign, going)
        flip(state.mask, at, going)
        state.until[every, at] = torch.where(going, move + 1 + state.tenure, state.until[every, at])
    place = state.since.clamp(max=state.trail.shape[1] - 1)
    state.trail[every, place] = torch.where(going[:, None], torch.stack([into, out], 1), state.trail[every, place])
    state.gained.add_(torch.where(going, gain, 0))
    better = going & (state.gained > state.best + least)
    state.best = torch.where(better, state.gained, state.best)
    state.since = (state.since + going).masked_fill_(better, 0)
    state.going = going & (better | (state.since < patience))


def _best(table: Tensor, mask: Tensor, barred: Tensor, m: int, floor: Tensor, held: Tensor, above: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(gain, in, out) [c] each, of the best exchange; one that touches what is `held` must gain more than `above`.

    As in the compiled kernel: what cannot enter gains −∞, what cannot leave costs ∞. With m > 0 only pairs within groups are made.
    """
    size = mask.shape[1]
    pairs, last = table[:, :size, :size], table[:, size, :size]
    diagonal = pairs.diagonal(dim1=1, dim2=2)
    enters = mask & ~barred & (diagonal > floor)
    inverse = torch.where(enters, 1 / diagonal, 0)
    terms = (torch.where(enters, last * last * inverse, -torch.inf), last * inverse, inverse, torch.where(mask, torch.inf, last),
             torch.where(mask, 1, -diagonal))
    if m:  # [c, in, out, group], all that follows as without groups
        pairs = pairs.unflatten(2, (-1, m)).unflatten(1, (-1, m)).diagonal(dim1=1, dim2=3)
        *terms, held = (term.unflatten(1, (-1, m)).mT for term in (*terms, held))
    gains, moved, inverse, weights, owns = terms
    left = torch.addcmul(weights[:, None], pairs, moved[:, :, None], value=-1).square_()
    own = torch.addcmul(owns[:, None], pairs * inverse[:, :, None], pairs)
    net = torch.addcdiv(gains[:, :, None], left, own, value=-1)
    gain, at = net.flatten(1).max(1)
    free, other = net.masked_fill_(held[:, :, None] | held[:, None], -torch.inf).flatten(1).max(1)
    gain, at = torch.where(gain > above, gain, free), torch.where(gain > above, at, other)
    if not m:
        return gain, at // size, at % size
    groups = size // m
    first = at % groups * m
    return gain, first + at // (groups * m), first + at // groups % m


def _next_ones(table: Tensor, mask: Tensor, barred: Tensor, floor: Tensor, coming: bool, sound: Tensor, values: Tensor,
               entries: Tensor) -> None:
    """Fills `values` and `entries` [rows, k]; tables and mask are afterward as they were."""
    size, mask = mask.shape[1], mask.clone()
    for place in range(values.shape[1]):
        diagonal = table.diagonal(dim1=1, dim2=2)[:, :size]
        worth = table[:, size, :size].square() / diagonal
        fits = (mask & ~barred & (diagonal > floor) if coming else ~mask) & sound[:, None]
        best, at = worth.masked_fill(~fits, -torch.inf).max(1)
        there = best > -torch.inf
        values[:, place] = torch.where(there, best.abs(), values[:, place])
        entries[:, place] = torch.where(there, at, -1)
        pivot(table, at, 1 if coming else -1, there)
        flip(mask, at, there)
    for place in reversed(range(values.shape[1])):
        pivot(table, entries[:, place].clamp(min=0), -1 if coming else 1, entries[:, place] >= 0)
