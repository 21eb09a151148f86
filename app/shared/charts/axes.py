"""Axes of charts: logarithmic with plain numbers, shares in percent, and none beside cells."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

_WIDEST = 1e8
_FAR, _MANY = 1.0, 6  # decades to all others; fewer values than so many have no far ones
_NARROW = 0.2  # decades: less than this has no 1, 2 and 5 to label


def log_axis(low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis labeled with plain numbers: 1, 2 and 5 of each decade, fewer where there are many decades, more
    within one, round steps where the ends are near each other.

    At most eight decades are shown: an optimum of 1e-15 is zero in all but name, and would flatten everything else.
    """
    low = max(low, high / _WIDEST)
    decades = math.log10(high / low)
    steps = (1, 1.5, 2, 3, 4, 5, 6, 8) if decades < 0.8 else (1, 2, 5) if decades < 2.5 else (1, 3) if decades < 4 else (1,)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**power for power in powers for step in steps]
    room = 0.06 * max(decades, 0.3)
    if 0 < decades < _NARROW:
        step = _round_step(high - low, 6)
        ticks = [count * step for count in range(max(1, math.floor(low / step)), math.ceil(high / step) + 1)]
        room = 0.08 * decades
    return {"type": "log", "range": [math.log10(low) - room, math.log10(high) + room], "tickvals": ticks,
            "ticktext": [_tick(tick) for tick in ticks]}


def main_part(values: Iterable[float]) -> tuple[float, float]:
    """The least and the greatest of the positive values, without the few, at most a tenth, that lie far from all others: by more than
    a factor of ten, and by more than the others span. One such point would flatten a chart; `edge_marks` draws it at the edge.

    Raises ValueError where no value is positive and finite.
    """
    ordered = sorted(value for value in values if 0 < value < math.inf)
    if not ordered:
        raise ValueError("no positive value")
    logs = [math.log10(value) for value in ordered]
    first, last = 0, len(logs) - 1
    few = max(1, len(logs) // 10) if len(logs) >= _MANY else 0
    for cut in range(1, few + 1):
        if logs[cut] - logs[cut - 1] > max(_FAR, logs[last] - logs[cut]):
            first = cut
    for cut in range(last - few, last):  # the first gap: all beyond it are far
        if logs[cut + 1] - logs[cut] > max(_FAR, logs[cut] - logs[first]):
            last = cut
            break
    return ordered[first], ordered[last]


def at_edge(value: float, low: float, high: float) -> float:
    """Place of a value on an axis from `low` to `high`: its own, or the edge beyond which it lies."""
    return value if math.isnan(value) or value <= 0 else min(max(value, low), high)


def edge_marks(values: Sequence[float], low: float, high: float, symbol: str) -> str | list[str]:
    """Markers of values: their own, but arrows for those that lie beyond an edge."""
    end = "-open" if symbol.endswith("-open") else ""
    marks = [f"arrow-up{end}" if value > high else f"arrow-down{end}" if 0 < value < low else symbol for value in values]
    return symbol if all(mark == symbol for mark in marks) else marks


def share_axis(low: float, high: float, *, most: int = 8, change: bool = False) -> dict[str, Any]:
    """A linear axis from `low` to `high`, labeled in percent as sentences write it: 30 %. A `change` says its sign."""
    step = _round_step(high - low, most)
    digits = max(0, -2 - math.floor(math.log10(step) + 1e-9))
    counts = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return {"range": [low, high], "tickvals": [count * step for count in counts],
            "ticktext": [_share(100 * count * step, digits, change and count != 0) for count in counts]}


def _round_step(span: float, most: int) -> float:
    """The least of 1, 2, 5, 10, … times a power of ten that fits at most so often into `span`."""
    return next(digit * 10.0**power for power in range(-6, 3) for digit in (1, 2, 5)
                if span / (digit * 10.0**power) <= most or (power, digit) == (2, 5))


def bare_axis() -> dict[str, Any]:
    """An axis beside cells: no line, no ticks, but their length between the labels and the cells."""
    return {"showgrid": False, "showline": False, "ticks": "outside", "ticklen": 4, "tickcolor": "rgba(0,0,0,0)"}


def _share(percent: float, digits: int, signed: bool) -> str:
    return f"{'−' if percent < 0 else '+' if signed else ''}{abs(percent):.{digits}f} %"


def _tick(value: float) -> str:
    if value > 0.9e-4:
        return f"{value:.6f}".rstrip("0").rstrip(".")
    mantissa, _, power = f"{value:.0e}".partition("e")
    return f"{mantissa}·10<sup>−{abs(int(power))}</sup>"
