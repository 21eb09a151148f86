"""Numbers as a person reads them: one function for each kind of number, the same on every page, in tables and beside charts.

Perplexity 2 decimals, errors 3 digits, shares 1 decimal, sizes and durations 2 to 3 digits with their unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime

NOT_COMPUTED = "not computed"
_FAR = 1000.0  # times the optimum, beyond which its value is all but zero


def perplexity(value: float) -> str:
    """Two decimals; thousands apart; a model that is destroyed says so in powers of ten."""
    if not math.isfinite(value):
        return "infinite"
    return f"{value:,.2f}".replace(",", " ") if value < 1e6 else _scientific(value)


def error(value: float) -> str:
    """Three significant digits, never in a form such as 1e-02."""
    if not math.isfinite(value):
        return "infinite"
    if value == 0:
        return "0"
    digits = math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, 2 - digits)}f}" if -5 <= digits < 6 else _scientific(value)


def errors(*values: float) -> list[str]:
    """Errors that stand in one sentence: three digits each, and powers of ten for all where one of them needs it."""
    small = any(0 < abs(value) < 1e-5 for value in values)
    return [_scientific(value) if small and value and math.isfinite(value) else error(value) for value in values]


def percent(share: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"


def fine_percent(share: float) -> str:
    """A share as a percentage with two decimals, for tables in which shares that differ little stand below each other."""
    return f"{100 * share:.2f} %"


def share(part: float) -> str:
    """A share that may be small, as a percentage with three digits: 0.0415 %."""
    return f"{error(100 * part)} %"


def signed(value: float) -> str:
    """A number with its sign, three digits: −0.0128."""
    return f"{'−' if value < 0 else ''}{error(abs(value))}"


def change(share: float, form: Callable[[float], str] = percent) -> str:
    """A relative change with its sign: +2.6 %, −0.4 %."""
    return f"{'−' if share < 0 else '+'}{form(abs(share))}"


def points(difference: float) -> str:
    """A difference of two shares: 1.3 points."""
    return f"{100 * difference:.1f} points"


def setting(value: float, digits: int = 6) -> str:
    """A value that a person has set, such as λ or α: as short as it was written."""
    return f"{value:.{digits}g}"


def index(value: float) -> str:
    """An index or a rank agreement between 0 and 1: 0.734."""
    return f"{value:.3f}"


def times(value: float) -> str:
    """A ratio: 2.4×."""
    if not math.isfinite(value):
        return "∞×"
    return f"{value:.2f}×" if value < 1.995 else f"{value:.1f}×" if value < 99.95 else f"{value:.0f}×"


def over_optimum(gap: float | None) -> str:
    """f/f* from f/f* − 1."""
    return NOT_COMPUTED if gap is None else times(1 + gap) if gap < _FAR or math.isinf(gap) else f"over {_FAR:.0f}×"


def seconds(value: float) -> str:
    """A duration: 30 ms, 0.4 s, 12 s, 3 min 05 s, 2 h 10 min."""
    if 0 < value < 0.095:
        return f"{max(1, round(1000 * value))} ms"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count: float) -> str:
    """Bytes: 512 kB, 38 MB, 1.2 GB."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= 0.995 * factor:
            value = count / factor
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
    return f"{count:.0f} B"


def count(value: int) -> str:
    """A count as text: 840, 12 800, 262 144, 4.74 M, 6.74 G."""
    if value < 1_000_000:
        return f"{value:,}".replace(",", " ")
    factor, unit = (1e9, "G") if value >= 9.995e8 else (1e6, "M")
    return f"{value / factor:.2f} {unit}" if value < 100 * factor else f"{value / factor:.0f} {unit}"


def grouped(sentence: str) -> str:
    """A sentence of the core with its thousands apart as here: 1,574,400 becomes 1 574 400."""
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", count(1000)[1], sentence)


def moment(stamp: float) -> str:
    """A time stamp, in UTC."""
    return datetime.fromtimestamp(stamp, UTC).strftime("%d %b %Y, %H:%M UTC").lstrip("0")


def day(stamp: float) -> str:
    """The date of a time stamp, in UTC: 22 Nov 2026."""
    return datetime.fromtimestamp(stamp, UTC).strftime("%d %b %Y").lstrip("0")


def ago(stamp: float, now: float) -> str:
    """Time since a moment as text: just now, 4 min ago, 3 h ago; then the date."""
    passed = max(0.0, now - stamp)
    if passed < 60:
        return "just now"
    if passed < 3600:
        return f"{passed // 60:.0f} min ago"
    if passed < 86_400:
        return f"{passed // 3600:.0f} h ago"
    return day(stamp)


def plural(number: int, noun: str) -> str:
    """`1 layer`, `42 layers`."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def _scientific(value: float) -> str:
    mantissa, _, power = f"{value:.2e}".partition("e")
    return f"{mantissa}·10{str(int(power)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
