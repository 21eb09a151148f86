"""Shared pieces of the lessons' findings: exercises, numbers in formulas, and when two losses count as the same."""

from __future__ import annotations

Exercise = tuple[str, str]  # question, answer
TIE = 1e-9  # two losses that differ by less came out equal
EVEN = 0.01  # within one percent of each other two losses count as the same


def tex(value: float) -> str:
    """A number in a formula: three digits, powers of ten where it is small or large."""
    text = f"{value:.3g}"
    mantissa, _, power = text.partition("e")
    return f"{mantissa}\\cdot 10^{{{int(power)}}}" if power else text
