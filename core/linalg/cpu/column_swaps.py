"""The compiled search for a better set of whole columns (numba, CPU): exchanges of a kept with a removed one.

One table for all rows: as in core/linalg/cpu/swaps.py, but whole, and with c rows below it, each row's weights on kept columns and
residuals on removed ones. Bringing j in moves the weights by −A_j·r_j/S_j, so the pairs of j need one product of residuals and weights.
"""

from __future__ import annotations

# pyright: basic
import numba
import numpy as np

from core.linalg.cpu.descents import TOGETHER, product
from core.linalg.cpu.sweeps import FAST


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _pivot(table, k, sign, column, row):
    """Column k enters (sign 1) or leaves (sign −1) the kept set: one sweep of the whole table."""
    column[:], row[:] = table[:, k], table[k]
    inverse = 1 / table[k, k]
    column[k] = row[k] = 0
    for i in range(len(table)):
        share, mine = column[i] * inverse, table[i]
        for j in range(len(row)):
            mine[j] -= share * row[j]
        mine[k] = sign * share
    for j in range(len(row)):
        table[k, j] = sign * inverse * row[j]
    table[k, k] = -inverse


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _judge(table, kept, candidates, energies, products):
    """(gain, in, out) of the best exchange that brings in one of `candidates`; products [k, b] = Σ_rows r_j/S_jj times the lower table.

    Letting j in gains Σr_j²/S_jj; then i goes at Σ(x_i − t_ij·r_j/S_jj)²/(a_i + t_ij²/S_jj), a_i = [A_KK⁻¹]_ii. energies [b] = Σ_rows of
    the lower table squared.
    """
    best, into, out = -np.inf, -1, -1
    for place in range(len(candidates)):
        j = candidates[place]
        line, mine, inverse = table[j], products[place], 1 / table[j, j]
        moved = energies[j] * inverse * inverse
        for i in range(len(kept)):
            if kept[i]:
                left = energies[i] - 2 * line[i] * mine[i] + line[i] * line[i] * moved
                net = energies[j] * inverse - left / (line[i] * line[i] * inverse - table[i, i])
                if net > best:
                    best, into, out = net, j, i
    return best, into, out


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def exchange_columns_range(table, kept, barred, floor, least, times):
    """At most `times` exchanges, each the best there is; whether another might follow. Ends where none gains more than `least`.

    table [b + c, b] and `kept` bool [b] change in place; what is `barred` [b] never comes back. c·b²/4 multiply-adds each at half of b.
    """
    size = table.shape[1]
    lower = table[size:]
    shares, products = np.empty((TOGETHER, len(lower)), table.dtype), np.empty((TOGETHER, size), table.dtype)
    column, row, energies = np.empty(len(table), table.dtype), np.empty(size, table.dtype), np.empty(size, table.dtype)
    for _ in range(times):
        energies[:] = 0
        for r in range(len(lower)):
            for j in range(size):
                energies[j] += lower[r, j] * lower[r, j]
        candidates = np.array([j for j in range(size) if not kept[j] and not barred[j] and table[j, j] > floor[j]], np.int64)
        gain, into, out = -np.inf, -1, -1
        for begin in range(0, len(candidates), TOGETHER):
            some = candidates[begin : begin + TOGETHER]
            for place in range(len(some)):
                j = some[place]
                for r in range(len(lower)):
                    shares[place, r] = lower[r, j] / table[j, j]
            product(shares[: len(some)], lower, products[: len(some)])
            found = _judge(table, kept, some, energies, products)
            if found[0] > gain:
                gain, into, out = found
        if not gain > least:
            return False
        _pivot(table, into, 1, column, row)
        _pivot(table, out, -1, column, row)
        kept[into], kept[out] = True, False
    return True
