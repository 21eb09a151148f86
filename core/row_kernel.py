"""The compiled loops (numba, CPU): a range of rows, each on its own, without the interpreter lock.

Called by `core.rows`, which shares the rows out over threads. Small tensor operations would wait at a thread barrier each.
"""

from __future__ import annotations

# pyright: basic
import numba
import numpy as np

# Sums may be reordered into vector registers; the order is fixed once compiled, so reruns on a machine give the same bits.
FAST = {"reassoc", "contract", "nsz", "arcp"}


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def sweep_range(block, errors, corner, pruned, begin, end, first, last):
    """In rows first … last−1, columns j = begin … end−1: where pruned, e = w_j/U_jj goes to `errors`, and w_{j:} −= e·U[j, j:].

    block and errors [c, B] change in place; corner = U [B, B]; pruned bool [c, end − begin].
    """
    size = corner.shape[0]
    for row in range(first, last):
        mine = block[row]
        for j in range(begin, end):
            if pruned[row, j - begin]:
                upper = corner[j]
                error = mine[j] / upper[j]
                errors[row, j] = error
                for k in range(j, size):
                    mine[k] -= error * upper[k]
                mine[j] = 0


@numba.njit(nogil=True, cache=True, error_model="numpy")
def trace_range(inverse, weight, dead, n, m, order, costs, first, last):
    """Greedy removals of the rows first ≤ i < last: order[i, k] is the column that goes k-th, costs[i, k] = w²/[H_KK⁻¹]_qq its cost.

    inverse = H⁻¹ [b, b] and weight [c, b] float64, dead bool [b]: those go first, at −1. With m > 0 at most n of every m
    columns go, none of a last short group. Equal costs go by column. Downdates a compact copy of H⁻¹: b³/3 multiply-adds a row.
    """
    columns = inverse.shape[0]
    grouped = columns - columns % m if m > 0 else columns
    for row in range(first, last):
        left = inverse.copy()
        mine = weight[row].copy()
        index = np.arange(columns)
        taken = np.zeros(columns, np.int64)
        size = columns
        for place in range(order.shape[1]):
            best, cost = -1, np.inf
            for i in range(size):
                j = index[i]
                if j >= grouped or (m > 0 and taken[j // m] >= n):
                    continue
                mine_cost = -1.0 if dead[j] else mine[i] * mine[i] / left[i, i]
                if mine_cost < cost or (mine_cost == cost and j < index[best]):
                    best, cost = i, mine_cost
            order[row, place] = index[best]
            costs[row, place] = cost
            if m > 0:
                taken[index[best] // m] += 1
            pivot = left[best]
            for i in range(size):
                share = left[i, best] / pivot[best]
                if i != best and share != 0:
                    mine[i] -= share * mine[best]
                    target = left[i]
                    for k in range(size):
                        target[k] -= share * pivot[k]
            size -= 1
            if best != size:
                mine[best], index[best] = mine[size], index[size]
                left[best, :size] = left[size, :size]
                left[:size, best] = left[:size, size]
                left[best, best] = left[size, size]
