"""The compiled copies of parts of a matrix (numba, CPU): each entry read once and written once. Called by `core.linalg.submatrices`."""

from __future__ import annotations

# pyright: basic
import numba


@numba.njit(nogil=True, cache=True, error_model="numpy")
def part_range(matrix, rows, columns, taken, first, last):
    """In rows first … last−1 of `taken` [r, k]: matrix[rows][:, columns]. int32 rows [r] and columns [k]."""
    for i in range(first, last):
        line, mine = matrix[rows[i]], taken[i]
        for j in range(len(columns)):
            mine[j] = line[columns[j]]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def spread_range(weight, change, place, moved, first, last):
    """In rows first … last−1 of `moved` [c, b]: weight + change[:, place], 0 where `place` int32 [b] is −1."""
    for i in range(first, last):
        line, pushed, mine = weight[i], change[i], moved[i]
        for j in range(len(place)):
            at = place[j]
            total = line[j] + pushed[max(at, 0)]
            mine[j] = total if at >= 0 else 0
