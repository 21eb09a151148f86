"""Tables of a report: every cell carries its exact value, by which a click on the head sorts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.shared import numbers

_SHARES = ("sparsity", "removed by both", "kept by both")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Text of a cell, the exact value to sort by, and for a rounded number that value as a tooltip."""

    text: str = ""
    exact: str = ""
    title: str = ""
    is_number: bool = False


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A table as text: the names of the columns, and the rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def cells(rows: Sequence[Mapping[str, object]]) -> Cells:
    """Every row."""
    return Cells(columns=tuple(rows[0]) if rows else (),
                 rows=tuple(tuple(_cell(name, value) for name, value in row.items()) for row in rows))


def _cell(name: str, value: object) -> Cell:
    if value is None:
        return Cell()
    if not isinstance(value, float):
        return Cell(text=str(value), exact=str(value), is_number=isinstance(value, int))
    return Cell(text=_shown(name, value), exact=repr(value), title=repr(value), is_number=True)


def _shown(name: str, value: float) -> str:
    if name.endswith(_SHARES) or name.startswith("only by "):
        return numbers.percent(value)
    if name.endswith("÷ best"):
        return numbers.times(value)
    if name.startswith("time"):
        return f"{value:.2f}"
    return numbers.setting(value) if name.startswith("λ") else numbers.error(value)
