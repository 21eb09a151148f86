"""The compiled inverse of a small triangular matrix (numba, CPU): a third of a library's time. Called by `core.linalg.cholesky`."""

from __future__ import annotations

# pyright: basic
import numba

from core.linalg.cpu.sweeps import FAST


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def invert_lower(lower, inverse):
    """M = L⁻¹ [k, k], row by row from those above: M_i: = (e_i − Σ_{j<i} L_ij M_j:)/L_ii. k³/6; zeros above the diagonal."""
    for i in range(len(lower)):
        mine, scale = inverse[i], 1 / lower[i, i]
        mine[:] = 0
        for k in range(i):
            factor, above = lower[i, k], inverse[k]
            for j in range(k + 1):
                mine[j] -= factor * above[j]
        for j in range(i):
            mine[j] *= scale
        mine[i] = scale
