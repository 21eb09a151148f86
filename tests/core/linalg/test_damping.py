"""Damping that is raised where a factorization fails: by ten times, three times at most, and only where that is allowed."""

from __future__ import annotations

import pytest

from core import IllConditioned
from core.linalg.damping import with_raised_damping


@pytest.mark.parametrize(("damping", "tried"), [(0.01, [0.01, 0.1, 1.0, 10.0]), (0.0, [0.0, 0.001, 0.01, 0.1])])
def test_damping_is_raised_by_ten_times_and_three_times_at_most(damping, tried):
    seen: list[float] = []

    def fail(value: float) -> None:
        seen.append(value)
        raise IllConditioned("layer", -1.0, value)

    for may_raise in (False, True):
        seen.clear()
        with pytest.raises(IllConditioned):
            with_raised_damping(fail, damping, may_raise=may_raise)
        assert seen == pytest.approx(tried if may_raise else tried[:1])


def test_the_first_damping_that_works_is_taken():
    def attempt(value: float) -> str:
        if value < 0.1:
            raise IllConditioned("layer", -1.0, value)
        return "solved"

    assert with_raised_damping(attempt, 0.01, may_raise=True) == ("solved", pytest.approx(0.1))
