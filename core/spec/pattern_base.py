"""Base class of the patterns: what a pattern declares of itself, and the fields that several share. No torch."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Mapping
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
    alike: ClassVar[str] = ""  # why all layers lose the same share; empty: they may differ
    by_layer: ClassVar[bool] = True  # every layer has a target of its own
    solves: ClassVar[bool] = True  # layers are solved, by a method's kernel
    like: ClassVar[str] = ""  # kind of pattern that it is for a method; empty: its own
    shrinks: ClassVar[bool] = False  # tensors become smaller: nothing of what goes is stored
    counts: ClassVar[bool] = False  # it is said by a number of structures, or by their share
    prefix: ClassVar[str] = ""  # of its word, before the colon
    unit: ClassVar[str] = "weights"  # of what goes, in the plural
    whence: ClassVar[str] = ""  # from where so many go, after "go"
    scored_by: ClassVar[str] = ""  # why not every method can choose what goes; empty: a method says itself what it refuses
    refuses: ClassVar[Mapping[str, str]] = {}  # option of a run -> why it has no meaning here
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
    def amount(self) -> float | None:
        """A number of structures, or below 1 their share, where the pattern `counts`."""
        return None

    @property
    def may_differ(self) -> bool:
        """True if layers may lose different shares."""
        return not self.alike

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
