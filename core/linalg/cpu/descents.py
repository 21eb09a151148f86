"""The compiled iterations of a descent (numba, CPU): conjugate gradients, Adam and gradient steps, row by row.

An iteration is a product of the rows with a symmetric matrix and some passes over them. Here `TOGETHER` rows at a time go through all
of it while they lie in the first cache, so the passes cost next to nothing beside the product. For wide matrices a library makes the
product (core/linalg/products.py), and a row goes through all passes while it lies in a cache. No row looks at another.
"""

from __future__ import annotations

# pyright: basic
import numba
import numpy as np

from core.linalg.cpu.sweeps import FAST

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


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy", inline="always")
def conjugate_row(x, r, d, moved, inverse, before):
    """One row's iteration once `moved` = dA is there: α = s/(dAdᵀ); x += α·d; r −= α·dA; s' = Σ r²·inverse; d = inverse·r + (s'/s)·d.

    s = `before`; returns s' and α. No step where dAdᵀ is not positive.
    """
    least = 4 * np.finfo(d.dtype).tiny  # whose inverse is still finite: below it a row has long arrived
    curvature, after = 0 * before, 0 * before
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
    return after, step


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def conjugate_range(system, scale, solution, residual, direction, slope, gained, times, first, last):
    """In rows first … last−1 `times` iterations of `conjugate_row`, and `gained` += α·s.

    x = `solution`, r = `residual`, d = `direction` [c, b] and s = `slope` [c] change in place.
    """
    images = np.empty((TOGETHER, system.shape[0]), system.dtype)
    for begin in range(first, last, TOGETHER):
        end = min(begin + TOGETHER, last)
        for _ in range(times):
            product(direction[begin:end], system, images[: end - begin])
            for row in range(begin, end):
                before = slope[row]
                slope[row], step = conjugate_row(solution[row], residual[row], direction[row], images[row - begin], scale[row], before)
                gained[row] += step * before


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def conjugate_step_range(images, scale, solution, residual, direction, slope, gained, first, last):
    """The same once, with dA = `images` [c, b], which is overwritten."""
    for row in range(first, last):
        before = slope[row]
        slope[row], step = conjugate_row(solution[row], residual[row], direction[row], images[row], scale[row], before)
        gained[row] += step * before


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy", inline="always")
def adam_row(x, m, v, image, scale, rate, t):
    """One row's step t once `image` = x·G is there: g = image·scale; m = 0.9·m + 0.1·g; v = 0.999·v + 0.001·g²;
    x −= rate·m/(1 − 0.9ᵗ)/(√(v/(1 − 0.999ᵗ)) + 1e-8)."""
    number = x.dtype.type
    biased = np.sqrt(1 - 0.999**t)
    step, least = number(rate * biased / (1 - 0.9**t)), number(1e-8 * biased)
    for j in range(len(x)):
        g = image[j] * scale[j]
        m[j] += number(0.1) * (g - m[j])
        v[j] = number(0.999) * v[j] + number(0.001) * g * g
        x[j] -= step * m[j] / (np.sqrt(v[j]) + least)


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def adam_range(gram, scale, moved, mean, square, rate, done, times, first, last):
    """In rows first … last−1 steps done + 1 … done + times of `adam_row`: x = `moved`, m = `mean`, v = `square` [c, b] change in place."""
    images = np.empty((TOGETHER, gram.shape[0]), gram.dtype)
    for begin in range(first, last, TOGETHER):
        end = min(begin + TOGETHER, last)
        for t in range(done + 1, done + times + 1):
            product(moved[begin:end], gram, images[: end - begin])
            for row in range(begin, end):
                adam_row(moved[row], mean[row], square[row], images[row - begin], scale[row], rate, t)


@numba.njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def adam_step_range(images, scale, moved, mean, square, rate, t, first, last):
    """The same once, with x·G = `images` [c, b]."""
    for row in range(first, last):
        adam_row(moved[row], mean[row], square[row], images[row], scale[row], rate, t)


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
