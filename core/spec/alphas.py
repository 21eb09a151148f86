"""Admissible values of α: those that keep a given number of rows, those that a pattern allows, those of a sweep. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from pydantic import ValidationError

from core.spec.patterns import AnyPattern, SemiStructured, as_written, outlier_count

SWEEP = tuple(round(0.05 * step, 2) for step in range(7))  # 0 … 0.3
_FEW_GROUPS = 0.5  # n:m at equal sparsity has few α: all up to here


def with_alpha(pattern: AnyPattern, alpha: float, budget: str | None = None) -> AnyPattern:
    """The same pattern with this α, and this budget where it has one. Raises ValidationError where there is no such pattern."""
    changed: dict[str, object] = {"outlier_rows": alpha}
    if budget is not None and pattern.has_budget:
        changed["alpha_budget"] = budget
    return type(pattern).model_validate({**pattern.model_dump(), **changed})


def sweep_alphas(pattern: AnyPattern) -> tuple[float, ...]:
    """0, 0.05 … 0.3, as far as the pattern allows. n:m at equal counted sparsity: 1 − n/n′ for whole n′, up to ½."""
    if _only_some(pattern):
        return _whole_groups(pattern)
    return tuple(alpha for alpha in SWEEP if _allowed(pattern, alpha))


def row_choices(pattern: AnyPattern, rows: int) -> Sequence[int]:
    """Numbers of rows, of c, that an allowed α can keep: 0 … the most there is room for; for n:m at equal counted sparsity a few counts."""
    if _only_some(pattern):
        return sorted({outlier_count(rows, alpha) for alpha in _whole_groups(pattern)})
    return range(outlier_count(rows, float(_most(pattern))) + 1)


def alpha_for(pattern: AnyPattern, rows: int, count: int) -> float:
    """An α that the pattern allows and that keeps `count` of c rows, the shortest to write. ValueError where there is none."""
    if _only_some(pattern):
        return next(alpha for alpha in _whole_groups(pattern) if outlier_count(rows, alpha) == count)
    return alpha_keeping(rows, count, _most(pattern))


def alpha_keeping(rows: int, count: int, most: Fraction = Fraction(1)) -> float:
    """The shortest decimal α < 1, at most `most`, with ⌈αc⌉ = count. ValueError where there is none."""
    high, low = min(Fraction(count, rows), most), Fraction(count - 1, rows)
    for digits in range(18 if 0 <= count <= rows else 0):
        alpha = Fraction(math.floor(high * 10**digits) - (high == 1), 10**digits)
        if alpha > low:
            return float(alpha)
    raise ValueError(f"no α up to {most} keeps {count} of {rows} rows")


def _most(pattern: AnyPattern) -> Fraction:
    """Zeros that are shared out among fewer rows must find room there."""
    if pattern.share is None or pattern.budget == "paper":
        return Fraction(1)
    return 1 - as_written(pattern.share)


def _only_some(pattern: AnyPattern) -> bool:
    return isinstance(pattern, SemiStructured) and pattern.alpha_budget == "iso" and pattern.n > 0


def _whole_groups(pattern: AnyPattern) -> tuple[float, ...]:
    assert isinstance(pattern, SemiStructured)
    shares = (1 - pattern.n / more for more in range(pattern.n, pattern.m + 1))
    return tuple(alpha for alpha in shares if alpha <= _FEW_GROUPS and _allowed(pattern, alpha))


def _allowed(pattern: AnyPattern, alpha: float) -> bool:
    try:
        with_alpha(pattern, alpha)
    except ValidationError:
        return False
    return True
