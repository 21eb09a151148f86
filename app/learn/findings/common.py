"""Shared pieces of the lessons' findings: exercises, numbers in formulas, and when two losses count as the same."""

from __future__ import annotations

from app.shared import numbers

Exercise = tuple[str, str]  # question, answer
TIE = 1e-9  # two losses that differ by less came out equal
_PLAIN = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
EVEN = 0.01  # within one percent of each other two losses count as the same


def tex(value: float) -> str:
    """A number in a formula, in the form of an error: three digits, powers of ten where it is small or large."""
    mantissa, _, power = numbers.signed(value).replace("−", "-").partition("·10")
    return f"{mantissa}\\cdot 10^{{{power.translate(_PLAIN)}}}" if power else mantissa
