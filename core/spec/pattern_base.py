"""Base class of the patterns: what a pattern declares of itself, and the fields that several share. No torch."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from core.spec.base import FrozenModel

SHARE = r"(-?\d*\.?\d+(?:e-?\d+)?)(\s*%)?"  # 0.5 or 50%


def as_written(share: float) -> Fraction:
    """The decimal a person wrote: 0.3·10 is 2.9999999999999996 in binary, and counts must not notice."""
    return Fraction(repr(float(share)))


Sparsity = Annotated[
    float,
    Field(ge=0, lt=1, title="Sparsity", description="p: the share of the weights that goes.", json_schema_extra={"symbol": "p"}),
]
OutlierRows = Annotated[
    float,
    Field(ge=0, lt=1, title="Outlier rows",
          description="α: this share of the rows, those with the most energy, stays dense.", json_schema_extra={"symbol": "α"}),
]
AlphaBudget = Annotated[
    Literal["paper", "iso"],
    Field(title="α budget", description="paper: the other rows are pruned at p, so the total is (1−α)p. "
          "iso: they are pruned harder, so that the total is p."),
]


def outlier_count(rows: int, alpha: float) -> int:
    """⌈αc⌉: how many of c rows stay dense."""
    return math.ceil(as_written(alpha) * rows)


class PatternBase(FrozenModel):
    """Base of all patterns: what one declares of itself. Each has `kind` and `outlier_rows` besides."""

    if TYPE_CHECKING:  # not fields here, so that each class says where they stand in the JSON
        outlier_rows: OutlierRows = 0.0

    label: ClassVar[str] = ""
    example: ClassVar[str] = ""  # its word, for messages
    may_differ: ClassVar[bool] = True  # layers may lose different shares
    whole_columns: ClassVar[bool] = False
    has_budget: ClassVar[bool] = False  # α can be compared at p of the other rows, or at p of all

    @property
    @abstractmethod
    def word(self) -> str:
        """The shortest word that `parse_pattern` reads back; α and its budget are not part of it."""

    @classmethod
    @abstractmethod
    def parse(cls, word: str) -> dict[str, object] | None:
        """The fields that a word sets, unchecked. None: the word is another pattern's."""

    @property
    def share(self) -> float | None:
        """p as asked for. None: the pattern says it otherwise."""
        return None

    @property
    def group(self) -> int | None:
        """m: consecutive inputs whose zeros are counted together. None: there are no groups."""
        return None

    @property
    def budget(self) -> str | None:
        """The α budget. None: the pattern has no choice."""
        return None


def read_share(match: re.Match[str]) -> float:
    """The number of a match of SHARE."""
    return float(match[1]) / 100 if match[2] else float(match[1])
