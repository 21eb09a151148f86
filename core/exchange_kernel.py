"""The compiled search for a better mask (numba, CPU): exchanges of a kept with a pruned entry, row by row. Called by `core.rows`.

For xAx − 2gx, x zero on the pruned entries P, a row keeps one symmetric table, of which the lower triangle is there:

    on the kept set K   −A_KK⁻¹                 last row, K   the weights x_K = A_KK⁻¹ g_K
    on P                A_PP − A_PK A_KK⁻¹ A_KP   last row, P   the residuals r_P = g_P − A_PK x_K
    between             A_PK A_KK⁻¹

One symmetric sweep (a pivot) lets an entry in or out. Letting j in gains r_j²/S_jj; then i goes at x_i²/[A_KK⁻¹]_ii, both as they are
by then, so every exchange is judged exactly in O(1) and made by two pivots.
"""

from __future__ import annotations

# pyright: basic
import numba
import numpy as np

from core.row_kernel import FAST

TENURE = 15  # moves at most for which what was exchanged stays as it is


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _pivot(table, k, sign, column):
    """Entry k enters (sign 1) or leaves (sign −1) the kept set: one symmetric sweep of the lower triangle, B²/2 multiply-adds."""
    size = table.shape[0]
    column[:k] = table[k, :k]
    column[k:] = table[k:, k]
    inverse = 1 / column[k]
    column[k] = 0
    for i in range(size):
        share, mine = column[i] * inverse, table[i]
        for j in range(i + 1):
            mine[j] -= share * column[j]
    for j in range(size):
        table[max(j, k), min(j, k)] = sign * inverse * column[j]
    table[k, k] = -inverse


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _best_exchange(table, pruned, barred, m, floor, until, move, above, kept, net):
    """(gain, in, out) of the best exchange; one that touches an entry with until > move must gain more than `above`.

    `kept` and `net` [B] are for scratch.
    """
    size = len(pruned)
    best, into, out = -np.inf, -1, -1
    count = 0
    for i in range(size):
        if not pruned[i]:
            kept[count] = i
            count += 1
    start = 0
    for j in range(size):
        if not pruned[j] or barred[j] or table[j, j] <= floor[j]:
            continue
        inverse = 1 / table[j, j]
        moved = table[size, j] * inverse
        gain = table[size, j] * moved
        stop = count
        if m:
            while start < count and kept[start] < j // m * m:
                start += 1
            stop = start
            while stop < count and kept[stop] < j // m * m + m:
                stop += 1
        for at in range(start, stop):
            i = kept[at]
            cross = table[max(i, j), min(i, j)]
            left = table[size, i] - cross * moved
            net[at] = gain - left * left / (cross * cross * inverse - table[i, i])
        held = until[j] > move
        for at in range(start, stop):
            if net[at] > best and ((not held and until[kept[at]] <= move) or net[at] > above):
                best, into, out = net[at], j, kept[at]
    return best, into, out


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _exchange(table, mine, barred, m, floor, least, patience, column, kept, net, until, trail):
    """Tabu search (Glover 1989): the best exchange each time, even one that loses; ends at the best mask seen.

    What was exchanged stays as it is for some moves, unless moving it again leads to a new best. Ends `patience` moves after the last
    best; a new best must gain more than `least`.
    """
    size = len(mine)
    gone = 0
    for k in range(size):
        until[k] = 0
        gone += mine[k]
    tenure = 1 + min(TENURE, gone // 3, (size - gone) // 3)
    gained, best, since, move = 0.0, 0.0, 0, 0
    while move < 8 * size:
        gain, into, out = _best_exchange(table, mine, barred, m, floor, until, move, best - gained + least, kept, net)
        if into < 0 or (patience == 0 and gain <= least):
            break
        _pivot(table, into, 1, column)
        _pivot(table, out, -1, column)
        mine[into], mine[out] = False, True
        move += 1
        until[into] = until[out] = move + tenure
        trail[since, 0], trail[since, 1] = into, out
        gained += gain
        since += 1
        if gained > best + least:
            best, since = gained, 0
        elif since >= patience:
            break
    for back in range(since - 1, -1, -1):
        into, out = trail[back]
        _pivot(table, out, 1, column)
        _pivot(table, into, -1, column)
        mine[into], mine[out] = True, False


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _next_ones(table, mine, barred, floor, coming, values, entries, column):
    """What the row's next entries gain when they come in, one after the other, or cost when they go; `entries` says which."""
    size = len(mine)
    for place in range(len(values)):
        best, at = -np.inf, -1
        for k in range(size):
            if mine[k] == coming and (not coming or (table[k, k] > floor[k] and not barred[k])):
                value = table[size, k] * table[size, k] / table[k, k]  # a cost is negative: the pivot of a kept entry is
                if value > best:
                    best, at = value, k
        values[place], entries[place] = abs(best) if at >= 0 else 0.0 if coming else np.inf, at
        if at < 0:
            continue
        _pivot(table, at, 1 if coming else -1, column)
        mine[at] = not coming
    for back in range(len(values) - 1, -1, -1):
        if entries[back] >= 0:
            _pivot(table, entries[back], -1 if coming else 1, column)
            mine[entries[back]] = coming


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def exchange_range(system, linear, pruned, barred, m, least, patience, floor, solution, costs, going, gains, coming, first, last):
    """In the rows first ≤ i < last, exchanges that lower the minimum of xAx − 2gx; A = `system` [B, B], g = linear[i].

    `pruned` bool [c, B] changes in place, the minimum's x goes to `solution`. What is `barred` [B] never comes back; with m > 0 both
    entries are of one group of m. costs [c, k] and going: what the row's next k removals cost and which they are, infinite and −1
    where there is none; gains and coming: what the next to come back gain, 0 and −1 where there is none. A row whose kept entries
    stand for each other in this arithmetic (pivot ≤ floor) is left as it is, NaN in `solution`. B³/4 multiply-adds a row at half the
    entries, 5/4·B² a move.
    """
    size = system.shape[0]
    table, column = np.empty((size + 1, size + 1), system.dtype), np.empty(size + 1, system.dtype)
    kept, net = np.empty(size, np.int64), np.empty(size, system.dtype)
    until, trail = np.empty(size, np.int64), np.empty((max(patience, 1), 2), np.int64)
    for row in range(first, last):
        mine = pruned[row]
        table[:size, :size] = system
        table[size, :size] = linear[row]
        table[size, size] = 0
        sound = True
        for k in range(size):
            if not mine[k]:
                sound = sound and table[k, k] > floor[k]
                _pivot(table, k, 1, column)
        costs[row], going[row], gains[row], coming[row] = np.inf, -1, 0.0, -1
        if not sound:
            solution[row] = np.nan
            continue
        _exchange(table, mine, barred, m, floor, least, patience, column, kept, net, until, trail)
        for k in range(size):
            solution[row, k] = 0.0 if mine[k] else table[size, k]
        _next_ones(table, mine, barred, floor, False, costs[row], going[row], column)
        _next_ones(table, mine, barred, floor, True, gains[row], coming[row], column)
