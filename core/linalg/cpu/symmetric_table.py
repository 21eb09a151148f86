"""The symmetric table of a row's exchanges, and the pivots that move an entry of it in or out (numba, CPU).

For xAx − 2gx, x zero on the pruned entries P, a row keeps one symmetric table, of which the lower triangle is stored:

    on the kept set K   −A_KK⁻¹                 last row, K   the weights x_K = A_KK⁻¹ g_K
    on P                A_PP − A_PK A_KK⁻¹ A_KP   last row, P   the residuals r_P = g_P − A_PK x_K
    between             A_PK A_KK⁻¹

One symmetric sweep (a pivot, Goodnight 1979) lets an entry in or out.
"""

from __future__ import annotations

# pyright: basic
import numba

from core.linalg.cpu.sweeps import FAST

PENDING = 8


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def column(table, k, out):
    """Entry k's column of the symmetric table."""
    rows = len(table)
    out[:k], out[k:rows] = table[k, :k], table[k:, k]


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def exchange_pivots(table, into, out, u, mine, v, theirs):
    """`into` enters the kept set, `out` leaves it: u uᵀ/u_into, then v vᵀ/v_out go from the lower triangle, in one pass: B² multiply-adds.

    u, v and their shares u/u_into, v/v_out, each [B + 1], are for scratch.
    """
    rows = len(table)
    column(table, into, u)
    column(table, out, v)
    inverse = 1 / u[into]
    for j in range(rows):
        mine[j] = u[j] * inverse
    moved = mine[out]
    for j in range(rows):
        v[j] -= moved * u[j]
    v[into] = moved
    turned = 1 / v[out]
    for j in range(rows):
        theirs[j] = v[j] * turned
    for i in range(rows):
        line, first, second = table[i], mine[i], theirs[i]
        for j in range(i + 1):
            line[j] -= first * u[j] + second * v[j]
    for j in range(rows):
        mine[j] -= moved * theirs[j]
        theirs[j] = -theirs[j]
    mine[into], theirs[out] = moved * theirs[into] - inverse, -turned
    table[into, : into + 1], table[into:, into] = mine[: into + 1], mine[into:rows]
    table[out, : out + 1], table[out:, out] = theirs[: out + 1], theirs[out:rows]


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def let_in(table, mine, floor, pivots, shares, places):
    """All entries that are kept enter, as one after the other; whether every pivot was above its floor. B³/4 at half of them.

    A pivot needs one column of the table only, so the table itself is swept for `PENDING` of them at a time, as in cpu/greedy_trace.py.
    pivots and shares [PENDING, B + 1] and places [PENDING] are for scratch: u, u/u_k and k of what is pending.
    """
    rows, sound, at = len(table), True, 0
    while at < rows - 1:
        pending = 0
        while at < rows - 1 and pending < PENDING:
            if not mine[at]:
                places[pending] = at
                pending += 1
            at += 1
        for p in range(pending):
            pivot, k = pivots[p], places[p]
            column(table, k, pivot)
            for before in range(p):
                known, times = pivots[before], shares[before, k]
                for j in range(rows):
                    pivot[j] -= times * known[j]
                pivot[places[before]] = times
            sound = sound and pivot[k] > floor[k]
            inverse = 1 / pivot[k]
            for j in range(rows):
                shares[p, j] = pivot[j] * inverse
        pivots[pending:], shares[pending:] = 0, 0
        _sweep(table, pivots, shares)
        for p in range(pending):  # each one's own row and column, as those after it leave it
            line, k = shares[p], places[p]
            line[k] = -1 / pivots[p, k]
            for after in range(p + 1, pending):
                known, times = pivots[after], shares[after, k]
                for j in range(rows):
                    line[j] -= times * known[j]
        _scatter(table, shares, places, pending)
    return sound


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _scatter(table, lines, places, pending):
    """The rows and columns of `places` become `lines`; where two cross, the later one's."""
    for i in range(places[0] if pending else 0, len(table)):
        for p in range(pending):
            if places[p] <= i:
                table[i, places[p]] = lines[p, i]
    for p in range(pending):
        k = places[p]
        table[k, : k + 1] = lines[p, : k + 1]


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _sweep(table, pivots, shares):
    """The lower triangle less all that is pending."""
    a, b, c, d, e, f, g, h = pivots[0], pivots[1], pivots[2], pivots[3], pivots[4], pivots[5], pivots[6], pivots[7]
    for i in range(len(table)):
        line, s, t, u, v = table[i], shares[0, i], shares[1, i], shares[2, i], shares[3, i]
        w, x, y, z = shares[4, i], shares[5, i], shares[6, i], shares[7, i]
        for j in range(i + 1):  # written out: a loop over what is pending would not be compiled for vector registers
            line[j] -= s * a[j] + t * b[j] + u * c[j] + v * d[j] + w * e[j] + x * f[j] + y * g[j] + z * h[j]
