"""Methods that choose a mask and leave the kept weights as they are: magnitude, Wanda, DSnoT. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from core.spec.methods.base import Granular, Granularity, MethodParameters, Summary, named
from core.spec.methods.registry import METHODS
from core.spec.patterns import Pattern


class Magnitude(Granular):
    """The smallest |W| go; nothing else moves."""

    label, order, quick = "Magnitude", 10, True
    lessons = frozenset({"masks"})
    summary = Summary(r"\|W\|", "as they are", "0", "magnitude.md")
    name: str = named("magnitude")
    granularity: Granularity = "layer"


class Wanda(Granular):
    """The smallest |W|·√G_jj go, row by row; nothing else moves (Sun et al. 2024)."""

    label, order, quick = "Wanda", 20, True
    lessons = frozenset({"masks"})
    summary = Summary(r"\|W\|·‖X‖", "as they are", "0", "wanda.md")
    name: str = named("wanda")
    granularity: Granularity = "row"


class Dsnot(MethodParameters):
    """A simple mask, edited entry by entry until each row's mean output is right again; no weight moves (Zhang et al. 2024)."""

    label, order, quick = "DSnoT", 90, True
    refuses: ClassVar[Mapping[str, str]] = {"structured": "It swaps single entries, and a column goes as a whole."}
    summary = Summary("Wanda's, edited", "as they are", "0", "dsnot.md")
    name: str = named("dsnot")
    mask: Literal["wanda", "magnitude", "sparsegpt"] = Field(default="wanda", title="Mask", description="Whose mask is edited.")
    cycles: int = Field(default=50, ge=0, le=10_000, title="Cycles", description="Swaps in a row, at most.")
    threshold: float = Field(default=0.1, ge=0, le=1, title="Threshold", description="ε: a row is done when its mean output is off "
                             "by no more than this share of its root mean square.", json_schema_extra={"symbol": "ε"})

    @property
    def by_row(self) -> bool:
        return METHODS[self.mask]().by_row

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        return METHODS[self.mask]().shared_work(columns, pattern)

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        return METHODS[self.mask]().layer_work(rows, columns, pattern) + 20 * self.cycles * rows * columns
