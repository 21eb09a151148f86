"""The compiled loops (numba, CPU): a range of rows, each on its own, without the interpreter lock.

Called by `core.linalg.rows`, which shares the rows out over threads. Small tensor operations would wait at a thread barrier each.
"""

from __future__ import annotations

# pyright: basic
import numba
import numpy as np

# Sums may be reordered into vector registers; the order is fixed once compiled, so reruns on a machine give the same bits.
FAST = {"reassoc", "contract", "nsz", "arcp"}
_LINE = 64  # bytes


@numba.njit(nogil=True, cache=True, error_model="numpy")
def on_lines(rows, columns, like):
    """[rows, columns or some more] like `like`: each row begins with a cache line, as vectors across two of them take twice the time, and
    is an odd number of them long, so that a column has room in the cache."""
    item = like.itemsize
    wide = (-(-columns * item // _LINE) | 1) * _LINE // item
    room = np.empty(rows * wide + _LINE // item, like.dtype)
    begin = (-room.ctypes.data // item) % (_LINE // item)
    return room[begin : begin + rows * wide].reshape(rows, wide)


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
def _choose_group(scores, count, start, stop, chosen):
    """In columns start … stop−1 of a row `chosen` becomes True for the `count` smallest scores, equal ones in their order.

    Before such a one fewer than `count` come. Written without a branch: which of two scores is less, nobody can predict.
    """
    for i in range(start, stop):
        before = 0
        for k in range(start, i):
            before += np.int32(scores[k] <= scores[i])
        for k in range(i + 1, stop):
            before += np.int32(scores[k] < scores[i])
        chosen[i] = before < count


@numba.njit(nogil=True, cache=True, error_model="numpy")
def choose_groups_range(scores, count, m, chosen, first, last):
    """In rows first … last−1 the `count` smallest scores of every m columns, True in `chosen` [c, b]; a last short group is left alone."""
    for row in range(first, last):
        mine, out = scores[row], chosen[row]
        for start in range(0, len(mine) - m + 1, m):
            _choose_group(mine, count, start, start + m, out)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _score(weight, diagonal, dead, start, stop, scores):
    """(w_j/U_jj)², −1 for dead inputs. Not FAST: the scores are those of a matrix operation, bit by bit."""
    for j in range(start, stop):
        ratio = weight[j] / diagonal[j]
        scores[j] = -1 if dead[j] else ratio * ratio


@numba.njit(nogil=True, cache=True, error_model="numpy")
def sweep_groups_range(block, errors, corner, dead, count, m, pruned, first, last):
    """As `sweep_range`, over every whole group of m columns, chosen as the sweep comes to it: the `count` of least (w_j/U_jj)².

    block, errors and pruned [c, B] change in place; dead bool [B].
    """
    diagonal = np.diag(corner).copy()
    scores = np.empty_like(diagonal)
    for start in range(0, corner.shape[0] - m + 1, m):
        stop = start + m
        for row in range(first, last):
            _score(block[row], diagonal, dead, start, stop, scores)
            _choose_group(scores, count, start, stop, pruned[row])
        sweep_range(block, errors, corner, pruned[:, start:stop], start, stop, first, last)
