"""The compiled search for a better mask (numba, CPU): exchanges of a kept with a pruned entry, row by row. Called by `core.linalg.rows`.

In the symmetric table of a row (`core.linalg.cpu.symmetric_table`), letting j in gains r_j²/S_jj; then i goes at x_i²/[A_KK⁻¹]_ii, both
as they are by then, so every exchange is judged exactly in O(1) and made by two pivots, in one pass.
"""

from __future__ import annotations

# pyright: basic
import numba
import numpy as np

from core.linalg.cpu.sweeps import FAST, on_lines
from core.linalg.cpu.symmetric_table import PENDING, column, exchange_pivots, let_in

_SLACK = 0.9999  # by which rounding can make a pair look worse than it is where it is not divided, and more
TENURE = 15  # moves at most for which what was exchanged stays as it is


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _prepare(table, pruned, barred, floor, terms):
    """In the rows of `terms` [6, B + 1]: g_j, r_j/S_jj and 1/S_jj of what may enter, x_i and a_i of what may leave.

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
def _best_exchange(table, pruned, barred, m, floor, until, move, above, terms):
    """(gain, in, out) of the best exchange; one that touches an entry with until > move must gain more than `above`.

    Letting j in gains g_j = r_j²/S_jj; then i goes at (x_i − t_ij·r_j/S_jj)²/(a_i + t_ij²/S_jj), a_i = [A_KK⁻¹]_ii. The pairs are gone
    through as they lie in memory, a row of the lower triangle at a time, without a division: whether one of them is better than the
    best so far is seen without, and few rows have such a pair. `terms` [6, B + 1] is for scratch.
    """
    size, number = len(pruned), table.dtype.type
    gains, moved, inverses, weights = terms[0], terms[1], terms[2], terms[3]  # not unpacked: that would hide that they are contiguous
    owns, least = terms[4], terms[5]
    _prepare(table, pruned, barred, floor, terms)
    for j in range(size):
        least[j] = above if until[j] > move else -np.inf
    best, into, out = number(-np.inf), -1, -1
    for i in range(1, size):
        gain, step, inverse, weight, own = gains[i], moved[i], inverses[i], weights[i], owns[i]
        bar = max(best, number(above) if until[i] > move else best)
        if pruned[i] and gain <= bar:  # whatever goes for it
            continue
        first, last, line = np.uint64(i // m * m if m else 0), np.uint64(i), table[i]  # unsigned: never from the end
        better = number(0)
        if pruned[i]:
            for j in range(first, last):
                left, room = weights[j] - line[j] * step, gain - max(least[j], bar)
                better += number(room * (line[j] * line[j] * inverse + owns[j]) > number(_SLACK) * left * left)
        else:
            for j in range(first, last):
                left, room = weight - line[j] * moved[j], gains[j] - max(least[j], bar)
                better += number(room * (line[j] * line[j] * inverses[j] + own) > number(_SLACK) * left * left)
        if not better:
            continue
        for j in range(first, last):
            if pruned[i]:
                left = weights[j] - line[j] * step
                net = gain - left * left / (line[j] * line[j] * inverse + owns[j])
            else:
                left = weight - line[j] * moved[j]
                net = gains[j] - left * left / (line[j] * line[j] * inverses[j] + own)
            if net > max(least[j], bar):
                bar = best = net
                into, out = (i, np.int64(j)) if pruned[i] else (np.int64(j), i)
    return best, into, out


@numba.njit(nogil=True, cache=True)
def tenure(pruned, kept):
    """Moves for which an exchanged entry rests in a row of so many pruned and kept entries: never do all of either kind rest."""
    return 1 + min(TENURE, pruned // 3, kept // 3)


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _exchange(table, mine, barred, m, floor, least, patience, terms, until, trail, pivots, shares):
    """Tabu search (Glover 1989): the best exchange each time, even one that loses; ends at the best mask seen.

    What was exchanged stays as it is for some moves, unless moving it again leads to a new best. Ends `patience` moves after the last
    best; a new best must gain more than `least`.
    """
    size = len(mine)
    until[:], gone = 0, np.count_nonzero(mine)
    rest = tenure(gone, size - gone)
    gained, best, since, move = 0.0, 0.0, 0, 0
    while move < 8 * size:
        gain, into, out = _best_exchange(table, mine, barred, m, floor, until, move, best - gained + least, terms)
        if into < 0 or (patience == 0 and gain <= least):
            break
        exchange_pivots(table, into, out, pivots[0], shares[0], pivots[1], shares[1])
        mine[into], mine[out] = False, True
        move += 1
        until[into] = until[out] = move + rest
        trail[since, 0], trail[since, 1] = into, out
        gained += gain
        since += 1
        if gained > best + least:
            best, since = gained, 0
        elif since >= patience:
            break
    for back in range(since - 1, -1, -1):
        into, out = trail[back]
        exchange_pivots(table, out, into, pivots[0], shares[0], pivots[1], shares[1])
        mine[into], mine[out] = True, False


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _next_ones(table, mine, barred, floor, coming, values, entries, terms, pivots, shares):
    """Gains of the row's next entries when they come in, one after the other, or costs when they go; `entries` says which.

    The table stays: each needs only its diagonal, its last row and one column, and these follow what was chosen before.
    """
    size = len(mine)
    diagonal, weights = terms[0], terms[1]
    for k in range(size):
        diagonal[k], weights[k] = table[k, k], table[size, k]
    for place in range(len(values)):
        best, at = -np.inf, -1
        for k in range(size):
            if mine[k] == coming and (not coming or (diagonal[k] > floor[k] and not barred[k])):
                value = weights[k] * weights[k] / diagonal[k]  # a cost is negative: the pivot of a kept entry is
                if value > best:
                    best, at = value, k
        values[place], entries[place] = abs(best) if at >= 0 else 0.0 if coming else np.inf, at
        if at < 0:
            continue
        pivot, share = pivots[place], shares[place]
        column(table, at, pivot)
        for p in range(place):
            known, times = pivots[p], shares[p, at]
            for j in range(size + 1):
                pivot[j] -= times * known[j]
        inverse, moved = 1 / pivot[at], pivot[size]
        for j in range(size):
            share[j] = pivot[j] * inverse
            diagonal[j] -= share[j] * pivot[j]
            weights[j] -= share[j] * moved
        mine[at] = not coming
    for at in entries:
        if at >= 0:
            mine[at] = coming


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
    table, terms = on_lines(size + 1, size + 1, system), on_lines(6, size + 1, system)
    until, trail = np.empty(size, np.int64), np.empty((max(patience, 1), 2), np.int64)
    most, places = max(PENDING, costs.shape[1]), np.empty(PENDING, np.int64)
    pivots, shares = on_lines(most, size + 1, system), on_lines(most, size + 1, system)
    for row in range(first, last):
        mine = pruned[row]
        for i in range(size):
            table[i, : i + 1] = system[i, : i + 1]
        table[size, :size] = linear[row]
        table[size, size] = 0
        sound = let_in(table, mine, floor, pivots, shares, places)
        costs[row], going[row], gains[row], coming[row] = np.inf, -1, 0.0, -1
        if not sound:
            solution[row] = np.nan
            continue
        _exchange(table, mine, barred, m, floor, least, patience, terms, until, trail, pivots, shares)
        for k in range(size):
            solution[row, k] = 0.0 if mine[k] else table[size, k]
        _next_ones(table, mine, barred, floor, False, costs[row], going[row], terms, pivots, shares)
        _next_ones(table, mine, barred, floor, True, gains[row], coming[row], terms, pivots, shares)
