"""The compiled iterations of a descent (numba, CPU): conjugate gradients, Adam and gradient steps, row by row. Called by `core.rows`.

An iteration is a product of the rows with a symmetric matrix and some passes over them. Here `TOGETHER` rows at a time go through all
of it while they lie in the first cache, so the passes cost next to nothing beside the product. No row looks at another.
"""

from __future__ import annotations

# pyright: basic
import numba
import numpy as np

from core.row_kernel import FAST

TOGETHER = 16  # rows for which the matrix is read once


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def product(rows, system, out):
    """out = rows·A [k, n], A = `system` [b, n]; four of its rows at a time, each entry's sum in the same order whatever k is."""
    deep, size = system.shape
    whole = deep - deep % 4
    out[:] = 0
    for k in range(0, whole, 4):
        first, second, third, fourth = system[k], system[k + 1], system[k + 2], system[k + 3]
        for r in range(len(rows)):
            a, b, c, d, mine = rows[r, k], rows[r, k + 1], rows[r, k + 2], rows[r, k + 3], out[r]
            for j in range(size):
                mine[j] += a * first[j] + b * second[j] + c * third[j] + d * fourth[j]
    for k in range(whole, deep):
        only = system[k]
        for r in range(len(rows)):
            share, mine = rows[r, k], out[r]
            for j in range(size):
                mine[j] += share * only[j]


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def conjugate_range(system, scale, solution, residual, direction, slope, gained, times, first, last):
    """In rows first … last−1: α = s/(dAdᵀ); x += α·d; r −= α·dA; s' = Σ r²·scale; d = scale·r + (s'/s)·d; `gained` += α·s; `times` times.

    x = `solution`, r = `residual`, d = `direction` [c, b] and s = `slope` [c] change in place. No step where dAdᵀ is not positive.
    """
    least = 4 * np.finfo(system.dtype).tiny  # whose inverse is still finite: below it a row has long arrived
    images = np.empty((TOGETHER, system.shape[0]), system.dtype)
    for begin in range(first, last, TOGETHER):
        end = min(begin + TOGETHER, last)
        for _ in range(times):
            product(direction[begin:end], system, images[: end - begin])
            for row in range(begin, end):
                x, r, d, moved, inverse = solution[row], residual[row], direction[row], images[row - begin], scale[row]
                curvature, after, before = 0 * slope[row], 0 * slope[row], slope[row]
                for j in range(len(d)):
                    curvature += d[j] * moved[j]
                step = before / curvature if curvature > least else 0 * before
                for j in range(len(d)):
                    x[j] += step * d[j]
                    r[j] -= step * moved[j]
                    moved[j] = inverse[j] * r[j]
                for j in range(len(d)):  # not above: sums there may be reordered, and r² of the largest inputs is beyond float32
                    after += r[j] * moved[j]
                ratio = after / before if before > least else 0 * before
                for j in range(len(d)):
                    d[j] = moved[j] + ratio * d[j]
                slope[row] = after
                gained[row] += step * before


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def adam_range(gram, scale, moved, mean, square, rate, done, times, first, last):
    """In rows first … last−1 steps done + 1 … done + times of Adam: g = (x·G)·scale; m = 0.9·m + 0.1·g; v = 0.999·v + 0.001·g²;
    x −= rate·m/(1 − 0.9ᵗ)/(√(v/(1 − 0.999ᵗ)) + 1e-8). x = `moved`, m = `mean`, v = `square` [c, b] change in place."""
    number = gram.dtype.type
    gradient = np.empty((TOGETHER, gram.shape[0]), gram.dtype)
    for begin in range(first, last, TOGETHER):
        end = min(begin + TOGETHER, last)
        for t in range(done + 1, done + times + 1):
            biased = np.sqrt(1 - 0.999**t)
            step, least = number(rate * biased / (1 - 0.9**t)), number(1e-8 * biased)
            product(moved[begin:end], gram, gradient[: end - begin])
            for row in range(begin, end):
                x, m, v, slope, mine = moved[row], mean[row], square[row], gradient[row - begin], scale[row]
                for j in range(len(x)):
                    g = slope[j] * mine[j]
                    m[j] += number(0.1) * (g - m[j])
                    v[j] = number(0.999) * v[j] + number(0.001) * g * g
                    x[j] -= step * m[j] / (np.sqrt(v[j]) + least)


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def gradient_range(gram, rate, original, weight, times, first, last):
    """In rows first … last−1, `times` times: x −= rate·((x − w)·G), x = `weight`, w = `original`, rate [c, b]; x changes in place."""
    away, images = np.empty((TOGETHER, gram.shape[0]), gram.dtype), np.empty((TOGETHER, gram.shape[0]), gram.dtype)
    for begin in range(first, last, TOGETHER):
        end = min(begin + TOGETHER, last)
        for _ in range(times):
            away[: end - begin] = weight[begin:end] - original[begin:end]
            product(away[: end - begin], gram, images[: end - begin])
            for row in range(begin, end):
                x, moved, mine = weight[row], images[row - begin], rate[row]
                for j in range(len(x)):
                    x[j] -= mine[j] * moved[j]
