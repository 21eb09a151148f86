"""Masks chosen by sorting (score, row, column), and the counts that a pattern asks for, in exact fractions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tests.oracles.layers import Array, Mask, energies


def smallest(scores: Array, count: int) -> Mask:
    """Exactly `count` entries, the smallest first, ties by (row, column)."""
    listed = scores.ravel().tolist()
    order = sorted(range(len(listed)), key=lambda at: (listed[at], at))
    mask = np.zeros(len(listed), dtype=bool)
    mask[order[:count]] = True
    return mask.reshape(scores.shape)


def smallest_per_row(scores: Array, count: int) -> Mask:
    return np.stack([smallest(row, count) for row in scores])


def smallest_in_groups(scores: Array, n: int, m: int) -> Mask:
    mask = np.zeros(scores.shape, dtype=bool)
    for i, row in enumerate(scores):
        for start in range(0, len(row) - m + 1, m):
            mask[i, start : start + m] = smallest(row[start : start + m], n)
    return mask


def smallest_columns(losses: Array, count: int) -> Mask:
    return smallest(losses, count)


@dataclass
class Ask:
    """The dense rows, the active rows, and of those: entries, or n of m, or columns to remove."""

    dense: list[int]
    active: list[int]
    entries: int | None = None
    groups: tuple[int, int] | None = None
    columns: int | None = None


def ask(weight: Array, gram: Array, pattern: object) -> Ask:
    rows, columns = weight.shape
    alpha = Fraction(str(pattern.outlier_rows))
    energy = energies(weight, gram)
    heaviest = sorted(range(rows), key=lambda i: (-energy[i], i))
    dense = sorted(heaviest[: math.ceil(alpha * rows)])
    active = [i for i in range(rows) if i not in dense]
    found = Ask(dense, active)
    if pattern.kind == "unstructured":
        p = Fraction(str(pattern.sparsity))
        counted = rows if pattern.alpha_budget == "iso" else len(active)
        found.entries = min(math.floor(p * counted * columns), len(active) * columns)
    elif pattern.kind == "semi-structured":
        share = 1 - alpha if pattern.alpha_budget == "iso" else Fraction(1)
        n = pattern.n / share
        assert n.denominator == 1, "the pattern should have refused"
        found.groups = int(n), pattern.m
    else:
        found.columns = min(columns, math.ceil(Fraction(str(pattern.sparsity)) * columns / (1 - alpha)))
    return found


def zeros_asked(asked: Ask, columns: int, *, per_row: bool = False) -> int:
    """How many entries must go in all."""
    if asked.entries is not None:
        return asked.entries // len(asked.active) * len(asked.active) if per_row and asked.active else asked.entries
    if asked.groups is not None:
        return columns // asked.groups[1] * asked.groups[0] * len(asked.active)
    return asked.columns * len(asked.active)


def select(scores: Array, asked: Ask, *, per_row: bool) -> Mask:
    """One mask for the whole layer from one table of scores (magnitude, Wanda)."""
    if asked.groups is not None:
        return smallest_in_groups(scores, *asked.groups)
    if asked.columns is not None:
        return np.tile(smallest_columns(scores.mean(axis=0), asked.columns), (len(scores), 1))
    if per_row:
        return smallest_per_row(scores, asked.entries // len(scores))
    return smallest(scores, asked.entries)


def grown(count: int, step: int, steps: int) -> int:
    """⌊count·(1 − (1 − step/steps)³)⌋."""
    return count if step >= steps else math.floor(count * (1 - (1 - Fraction(step, steps)) ** 3))


def select_part(scores: Array, asked: Ask, step: int, steps: int, *, per_row: bool = False) -> Mask:
    """A mask that grows; n:m grows as a layer, with never more than n in a group."""
    if asked.columns is not None:
        return np.tile(smallest_columns(scores.mean(axis=0), grown(asked.columns, step, steps)), (len(scores), 1))
    if asked.groups is not None:
        most = smallest_in_groups(scores, *asked.groups)
        return smallest(np.where(most, scores, np.inf), grown(int(most.sum()), step, steps))
    if per_row:
        return smallest_per_row(scores, grown(asked.entries // len(scores), step, steps))
    return smallest(scores, grown(asked.entries, step, steps))


def block_bounds(columns: int, block_size: int, asked: Ask) -> list[tuple[int, int]]:
    """Blocks of B columns; for n:m of the largest multiple of m that is at most B, and never less than m."""
    if asked.groups is not None:
        m = asked.groups[1]
        block_size = max(m, block_size // m * m)
    return [(start, min(start + block_size, columns)) for start in range(0, columns, block_size)]
