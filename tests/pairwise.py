"""Combinations of parameters for tests: each pair of values together at least once, instead of every combination of all.

A fault that shows only where two parameters meet is found by pairs; few show only where three do (Kuhn, Wallace & Gallo 2004). Where one
parameter is a variant of another, as a method with other settings is of the method, `covering` says which pairs are wanted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import pytest


def pairwise(*axes: Sequence[Any], allowed: Callable[..., bool] | None = None) -> list[tuple[Any, ...]]:
    """Rows, one value of each axis, in which every two values of two axes occur together where `allowed(*row)` lets them.

    Deterministic; about as many rows as the product of the two longest axes.
    """
    rows = list(itertools.product(*(range(len(axis)) for axis in axes)))
    values = {row: tuple(axis[at] for axis, at in zip(axes, row, strict=True)) for row in rows}
    fitting = [row for row in rows if allowed is None or allowed(*values[row])]
    chosen = covering(fitting, lambda row: itertools.combinations(enumerate(row), 2))
    return [values[row] for row in chosen]


def covering(candidates: Iterable[Any], features: Callable[[Any], Iterable[Hashable]]) -> list[Any]:
    """A short selection of the candidates, in their order, that has every feature of all of them.

    Greedy: the next is the one with most features that are missing, the first of several. At most 1 + ln(features) times the shortest.
    """
    listed = list(candidates)
    owned = [frozenset(features(candidate)) for candidate in listed]
    missing = set[Hashable]().union(*owned)
    gains = [len(own) for own in owned]  # upper bounds: what a candidate adds only falls
    chosen: list[int] = []
    while missing:
        best = -1
        for at in sorted(range(len(listed)), key=lambda at: (-gains[at], at)):
            if best >= 0 and gains[at] <= gains[best]:
                break
            gains[at] = len(owned[at] & missing)
            if best < 0 or (gains[at], -at) > (gains[best], -best):
                best = at
        chosen.append(best)
        missing -= owned[best]
    return [listed[at] for at in sorted(chosen)]


def parametrize(names: str, rows: Iterable[Sequence[Any]], label: Callable[[Any], str] = str) -> pytest.MarkDecorator:
    """`pytest.mark.parametrize` over rows, each named by the labels of its values."""
    listed = [tuple(row) for row in rows]
    return pytest.mark.parametrize([name.strip() for name in names.split(",")], listed,
                                   ids=["-".join(label(value) for value in row) for row in listed])
