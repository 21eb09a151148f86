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

_PENDING = 8
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
def _let_in(table, mine, floor, pivots, shares, places):
    """All entries that are kept enter, as by `_pivot` one after the other; whether every pivot was above its floor. B³/4 at half of them.

    A pivot needs one column of the table only, so the table itself is swept for `_PENDING` of them at a time (as in core/trace_kernel.py).
    pivots and shares [_PENDING, B + 1] and places [_PENDING] are for scratch: u, u/u_k and k of what is pending.
    """
    sound, pending = True, 0
    for k in range(len(mine)):
        if mine[k]:
            continue
        pivot = pivots[pending]
        pivot[:k], pivot[k:] = table[k, :k], table[k:, k]
        for p in range(pending):
            known, times = pivots[p], shares[p, k]
            for j in range(len(pivot)):
                pivot[j] -= times * known[j]
            pivot[places[p]] = times
        sound = sound and pivot[k] > floor[k]
        shares[pending] = pivot / pivot[k]
        places[pending] = k
        pending += 1
        if pending == _PENDING:
            _sweep(table, pivots, shares, places, pending)
            pending = 0
    pivots[pending:], shares[pending:] = 0, 0
    _sweep(table, pivots, shares, places, pending)
    return sound


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _sweep(table, pivots, shares, places, pending):
    """The lower triangle with all that is pending let in; in the end their own rows and columns, each as those after it left it."""
    for i in range(len(table)):
        target = table[i]
        for j in range(i + 1):
            taken = table.dtype.type(0)
            for p in range(_PENDING):
                taken += shares[p, i] * pivots[p, j]
            target[j] -= taken
    for p in range(pending):
        k = places[p]
        line = shares[p].copy()
        line[k] = -1 / pivots[p, k]
        for after in range(p + 1, pending):
            line -= shares[after, k] * pivots[after]
        table[k, : k + 1], table[k:, k] = line[: k + 1], line[k:]


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _prepare(table, pruned, barred, floor, terms):
    """In the rows of `terms` [7, B]: g_j, r_j/S_jj and 1/S_jj of what may enter, x_i and a_i of what may leave.

    What cannot enter gains −∞, and what cannot leave costs ∞: so no loop over pairs needs a branch.
    """
    size = len(pruned)
    for j in range(size):
        enters = pruned[j] and not barred[j] and table[j, j] > floor[j]
        inverse = 1 / table[j, j] if enters else 0
        moved = table[size, j] * inverse
        terms[0, j] = table[size, j] * moved if enters else -np.inf
        terms[1, j], terms[2, j] = moved, inverse
        terms[3, j] = np.inf if pruned[j] else table[size, j]
        terms[4, j] = 1 if pruned[j] else -table[j, j]


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _best_exchange(table, pruned, barred, m, floor, until, move, above, terms, partners):
    """(gain, in, out) of the best exchange; one that touches an entry with until > move must gain more than `above`.

    Letting j in gains g_j = r_j²/S_jj; then i goes at (x_i − t_ij·r_j/S_jj)²/(a_i + t_ij²/S_jj), a_i = [A_KK⁻¹]_ii. The pairs are gone
    through as they lie in memory, a row of the lower triangle at a time, and each column keeps its best. `terms` [7, B] and
    `partners` int32 [B] are for scratch.
    """
    size = len(pruned)
    gains, moved, inverses, weights = terms[0], terms[1], terms[2], terms[3]  # not unpacked: that would hide that they are contiguous
    owns, best, net = terms[4], terms[5], terms[6]
    _prepare(table, pruned, barred, floor, terms)
    for j in range(size):
        best[j], partners[j] = above if until[j] > move else -np.inf, -1
    for i in range(1, size):
        gain, step, inverse, weight, own = gains[i], moved[i], inverses[i], weights[i], owns[i]
        if pruned[i] and gain == -np.inf:
            continue
        first, last, line, row = np.uint64(i // m * m if m else 0), np.uint64(i), table[i], np.int32(i)  # unsigned: never from the end
        least = line.dtype.type(above if until[i] > move else -np.inf)
        if pruned[i]:
            for j in range(first, last):
                left = weights[j] - line[j] * step
                net[j] = gain - left * left / (line[j] * line[j] * inverse + owns[j])
        else:
            for j in range(first, last):
                left = weight - line[j] * moved[j]
                net[j] = gains[j] - left * left / (line[j] * line[j] * inverses[j] + own)
        for j in range(first, last):  # three loops, for what does all of it at once is not compiled for vector registers
            net[j] = net[j] if net[j] > least else -np.inf
        for j in range(first, last):
            partners[j] = row if net[j] > best[j] else partners[j]
        for j in range(first, last):
            best[j] = max(net[j], best[j])
    return _best_of(best, partners, pruned)


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _best_of(best, partners, pruned):
    """(gain, in, out) where every column says its best and with whom; −1 for nobody."""
    found = -1
    for j in range(len(best)):
        if partners[j] >= 0 and (found < 0 or best[j] > best[found]):
            found = j
    if found < 0:
        return -np.inf, -1, -1
    other = partners[found]
    return (best[found], other, found) if pruned[other] else (best[found], found, other)


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _exchange(table, mine, barred, m, floor, least, patience, column, terms, partners, until, trail):
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
        gain, into, out = _best_exchange(table, mine, barred, m, floor, until, move, best - gained + least, terms, partners)
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
    terms, partners = np.empty((7, size), system.dtype), np.empty(size, np.int32)
    until, trail = np.empty(size, np.int64), np.empty((max(patience, 1), 2), np.int64)
    pivots, shares = np.empty((_PENDING, size + 1), system.dtype), np.empty((_PENDING, size + 1), system.dtype)
    places = np.empty(_PENDING, np.int64)
    for row in range(first, last):
        mine = pruned[row]
        table[:size, :size] = system
        table[size, :size] = linear[row]
        table[size, size] = 0
        sound = _let_in(table, mine, floor, pivots, shares, places)
        costs[row], going[row], gains[row], coming[row] = np.inf, -1, 0.0, -1
        if not sound:
            solution[row] = np.nan
            continue
        _exchange(table, mine, barred, m, floor, least, patience, column, terms, partners, until, trail)
        for k in range(size):
            solution[row, k] = 0.0 if mine[k] else table[size, k]
        _next_ones(table, mine, barred, floor, False, costs[row], going[row], column)
        _next_ones(table, mine, barred, floor, True, gains[row], coming[row], column)
