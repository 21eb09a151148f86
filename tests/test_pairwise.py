"""Covering arrays: every pair that is allowed, few rows, the same each time."""

from __future__ import annotations

import itertools

import pytest

from tests.pairwise import covering, pairwise


def pairs(rows: list[tuple[object, ...]]) -> set[tuple[tuple[int, object], ...]]:
    return {pair for row in rows for pair in itertools.combinations(enumerate(row), 2)}


@pytest.mark.parametrize("sizes", [(3,), (2, 5), (3, 3, 3), (4, 4, 4, 4), (10, 5, 3, 2), (2,) * 8])
def test_every_pair_occurs_in_few_rows(sizes):
    axes = [[f"{axis}{value}" for value in range(size)] for axis, size in enumerate(sizes)]
    rows = pairwise(*axes)
    every = list(itertools.product(*axes))
    assert pairs(rows) == pairs(every)
    assert set(rows) <= set(every)
    assert len(set(rows)) == len(rows)
    longest, next_longest = sorted([*sizes, 1])[-1:-3:-1]
    assert len(rows) <= 2 * longest * next_longest
    assert pairwise(*axes) == rows


def test_what_is_not_allowed_is_left_out_and_nothing_else():
    axes = (range(6), range(5), range(4))
    rows = pairwise(*axes, allowed=lambda a, b, c: a != b and b + c != 3)
    every = [row for row in itertools.product(*axes) if row[0] != row[1] and row[1] + row[2] != 3]
    assert set(rows) <= set(every)
    assert pairs(rows) == pairs(every)


def test_values_need_not_be_hashable_nor_different():
    assert pairwise([{}, {}], [[1], [2]]) == [({}, [1]), ({}, [2]), ({}, [1]), ({}, [2])]


def test_a_selection_has_every_feature_and_keeps_the_order():
    words = ["ab", "bc", "abc", "d", "cd", "e"]
    chosen = covering(words, set)
    assert set("".join(chosen)) == set("abcde")
    assert chosen == [word for word in words if word in chosen]
    assert len(chosen) == 3
    assert covering([], set) == []
