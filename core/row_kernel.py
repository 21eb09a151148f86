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
def solve_rows_range(system, weight, pruned, solution, first, last):
    """solution[i, S] = (system_SS)⁻¹ weight[i, S] for the rows first ≤ i < last, S = the True columns of pruned[i].

    system [B, B], weight and solution [c, B] of one float type, pruned bool [c, B]. Row by row of the upper factor R,
    RᵀR = system_SS, with the right-hand side as one more column, four earlier rows at a time; then back substitution.
    |S|³/6 multiply-adds a row. A system that is not positive definite gives NaN.
    """
    size = system.shape[0]
    index = np.empty(size, np.int64)
    factor = np.empty((size, size + 1), system.dtype)
    for row in range(first, last):
        count = 0
        for column in range(size):
            if pruned[row, column]:
                index[count] = column
                count += 1
        for k in range(count):
            mine = factor[k]
            source = system[index[k]]
            for j in range(k, count):
                mine[j] = source[index[j]]
            mine[count] = weight[row, index[k]]
            q = 0
            while q + 3 < k:
                r0, r1, r2, r3 = factor[q], factor[q + 1], factor[q + 2], factor[q + 3]
                f0, f1, f2, f3 = r0[k], r1[k], r2[k], r3[k]
                for j in range(k, count + 1):
                    mine[j] -= f0 * r0[j] + f1 * r1[j] + f2 * r2[j] + f3 * r3[j]
                q += 4
            while q < k:
                earlier = factor[q]
                share = earlier[k]
                for j in range(k, count + 1):
                    mine[j] -= share * earlier[j]
                q += 1
            scale = 1 / np.sqrt(mine[k])
            for j in range(k, count + 1):
                mine[j] *= scale
        for k in range(count - 1, -1, -1):
            mine = factor[k]
            total = mine[count]
            for j in range(k + 1, count):
                total -= mine[j] * factor[j, count]
            factor[k, count] = total / mine[k]
            solution[row, index[k]] = factor[k, count]


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
