"""The compiled loop of OBC's greedy trace (numba, CPU): rows each on their own, without the interpreter lock.

Removing entry q of a row takes u uᵀ/u_q from H_KK⁻¹, u its q-th column (Frantar & Alistarh 2022, Lemma 1). The next choice needs only
the diagonal and one column of it, so these two are kept up to date at every removal and the matrix once in `_PENDING` removals, in
one pass over its lower half: what is read and written falls by that factor, and the pass runs at the rate of a product.
"""

from __future__ import annotations

# pyright: basic
import numba
import numpy as np

from core.linalg.cpu.sweeps import FAST, on_lines

_PENDING = 8


@numba.njit(nogil=True, cache=True, error_model="numpy")
def trace_range(inverse, weight, dead, n, m, order, costs, first, last):
    """Greedy removals of the rows first ≤ i < last: order[i, k] is the column that goes k-th, costs[i, k] = w²/[H_KK⁻¹]_qq its cost.

    inverse = H⁻¹ [b, b] and weight [c, b] float64, dead bool [b]: those go first, at −1. With m > 0 at most n of every m
    columns go, none of a last short group. Equal costs go by column. b³/6 multiply-adds a row.
    """
    columns = inverse.shape[0]
    grouped = columns - columns % m if m > 0 else columns
    pivots, shares, left = on_lines(_PENDING, columns, inverse), on_lines(_PENDING, columns, inverse), on_lines(columns, columns, inverse)
    for row in range(first, last):
        for k in range(columns):
            left[k, : k + 1] = inverse[k, : k + 1]
        diagonal, mine = np.diag(inverse).copy(), weight[row].copy()
        index = np.arange(columns)  # the column at each place; −1 once it is gone
        taken = np.zeros(columns, np.int64)
        size, pending = columns, 0
        for place in range(order.shape[1]):
            best, cost = -1, np.inf
            for i in range(size):
                j = index[i]
                if j < 0 or j >= grouped or (m > 0 and taken[j // m] >= n):
                    continue
                mine_cost = -1.0 if dead[j] else mine[i] * mine[i] / diagonal[i]
                if mine_cost < cost or (mine_cost == cost and j < index[best]):
                    best, cost = i, mine_cost
            order[row, place], costs[row, place] = index[best], cost
            if m > 0:
                taken[index[best] // m] += 1
            index[best] = -1
            _remove(left, best, size, pivots, shares, pending, diagonal, mine)
            pending += 1
            if pending == _PENDING:
                _downdate(left, size, pivots, shares, index)
                size, pending = _close_up(left, size, index, diagonal, mine), 0


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _remove(left, q, size, pivots, shares, pending, diagonal, mine):
    """u = column q, as the pending removals have left it; then w −= u·w_q/u_q, and u²/u_q goes from the diagonal."""
    pivot, share = pivots[pending], shares[pending]
    pivot[:q], pivot[q:size] = left[q, :q], left[q:size, q]
    for p in range(pending):
        known = pivots[p]
        times = shares[p, q]
        for k in range(size):
            pivot[k] -= times * known[k]
    scale = 1 / pivot[q]
    moved = mine[q]
    for k in range(size):
        share[k] = pivot[k] * scale
        mine[k] -= share[k] * moved
        diagonal[k] -= share[k] * pivot[k]


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _downdate(left, size, pivots, shares, index):
    """The lower half of H_KK⁻¹ less the pending u uᵀ/u_q."""
    a, b, c, d, e, f, g, h = pivots[0], pivots[1], pivots[2], pivots[3], pivots[4], pivots[5], pivots[6], pivots[7]
    for i in range(size):
        if index[i] >= 0:
            line, s, t, u, v = left[i], shares[0, i], shares[1, i], shares[2, i], shares[3, i]
            w, x, y, z = shares[4, i], shares[5, i], shares[6, i], shares[7, i]
            for k in range(i + 1):  # written out: a loop over what is pending would not be compiled for vector registers
                line[k] -= s * a[k] + t * b[k] + u * c[k] + v * d[k] + w * e[k] + x * f[k] + y * g[k] + z * h[k]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _close_up(left, size, index, diagonal, mine):
    """The last place moves to each one that is empty; how many are left."""
    at = 0
    while at < size:
        if index[at] >= 0:
            at += 1
            continue
        size -= 1
        if at != size:
            index[at], diagonal[at], mine[at] = index[size], diagonal[size], mine[size]
            left[at, :at] = left[size, :at]
            left[at:size, at] = left[size, at:size]
            left[at, at] = left[size, size]
    return size


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def columns_range(inverse, cross, dead, removed, count):
    """`count` more whole columns go, each time the one of least c_qq/u_q, the sum of all rows' w²/[H_KK⁻¹]_qq; equal ones by place.

    `inverse` H_KK⁻¹ and `cross` C = WᵀW float64 [b, b], of which the lower halves are there, change in place, and so does `removed` bool
    [b]; dead bool [b] go first. With v = u/u_q and d = c − v·c_qq/2, W − w_q·vᵀ has the cross products C − v·dᵀ − d·vᵀ: b² a removal.
    """
    size = len(dead)
    pivot, share, shared = np.empty(size), np.empty(size), np.empty(size)
    for _ in range(count):
        q, least = -1, np.inf
        for j in range(size):
            loss = -1.0 if dead[j] else cross[j, j] / inverse[j, j]
            if not removed[j] and (q < 0 or loss < least):
                q, least = j, loss
        removed[q] = True
        pivot[:q], pivot[q:] = inverse[q, :q], inverse[q:, q]
        shared[:q], shared[q:] = cross[q, :q], cross[q:, q]
        share[:] = pivot / pivot[q]
        shared[:] = shared - share * (shared[q] / 2)
        for i in range(size):
            if removed[i]:
                continue
            left, own, mine, other = inverse[i], cross[i], share[i], shared[i]
            for j in range(i + 1):
                left[j] -= mine * pivot[j]
                own[j] -= mine * shared[j] + other * share[j]
