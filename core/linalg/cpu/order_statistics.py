"""The compiled part of choosing the smallest scores (numba, CPU): how many lie in each range of numbers, then those of one range.

A positive float's bits, read as an integer, are in the order of the floats; the first `BITS` after the
sign are its range, two to three percent wide in float32, a quarter of an octave in float64. What is negative comes before all: range 0.
Rows come in batches.
"""

from __future__ import annotations

# pyright: basic
import numba
import numpy as np

BITS = 13


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _score(line, norm, dead, scores):
    """|w|·norm, −1 where dead; w itself where there is no norm. Not FAST: the scores are those of a matrix operation, bit by bit."""
    if not len(norm):
        scores[:] = line
        return
    for j in range(len(scores)):
        scores[j] = abs(line[j] * norm[j])
    for j in range(len(scores)):
        if dead[j]:
            scores[j] = -1


@numba.njit(nogil=True, cache=True, error_model="numpy")
def count_range(values, norm, dead, start, like, shift, batch, counts, first, last):
    """In batches first ≤ k < last of `batch` rows of values [c, b]: counts[k] of the ranges of the scores from column `start` on.

    norm and dead [b − start], or empty; `like` is empty, of the integer as wide as a score; `shift` drops all but the range.
    """
    scores = np.empty(values.shape[1] - start, values.dtype)
    bits = scores.view(like.dtype)
    for k in range(first, last):
        mine = counts[k]
        for row in range(k * batch, min((k + 1) * batch, len(values))):
            _score(values[row, start:], norm, dead, scores)
            for j in range(len(bits)):
                mine[np.uint64(max(bits[j] >> shift, 0))] += 1


@numba.njit(nogil=True, cache=True, error_model="numpy")
def collect_range(values, norm, dead, start, like, shift, batch, wanted, begins, found, places, first, last):
    """In the same batches, the scores of the range `wanted` into `found` from begins[k] on, and where they are in [c, b − start]."""
    scores = np.empty(values.shape[1] - start, values.dtype)
    bits = scores.view(like.dtype)
    for k in range(first, last):
        at = begins[k]
        for row in range(k * batch, min((k + 1) * batch, len(values))):
            _score(values[row, start:], norm, dead, scores)
            for j in range(len(bits)):
                if max(bits[j] >> shift, 0) == wanted:
                    found[at], places[at] = scores[j], row * len(bits) + j
                    at += 1
