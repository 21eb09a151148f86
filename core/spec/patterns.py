"""Sparsity patterns, and how many entries each takes from a layer. Integer arithmetic only; no torch.

Vocabulary: p is `sparsity`, α is `outlier_rows`, n:m means n zeros in every m consecutive inputs of a row (DESIGN.md §3).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, model_validator

from core.spec.base import FrozenModel
from core.spec.errors import BadInput


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


@dataclass(frozen=True, kw_only=True)
class Entries:
    """Remove exactly `count` entries of the rows that are not kept dense."""

    count: int


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Remove n of every m consecutive inputs of each row; a last group of fewer than m inputs stays dense."""

    n: int
    m: int


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Remove exactly `count` whole input columns (from the rows that are not kept dense)."""

    count: int


Target = Entries | Groups | Columns
_SPREAD = 0.15  # with an allocation that is not even, no layer's sparsity is further from p
_MOST = 0.99  # of the rows that are not kept dense


def nearby(pattern: Unstructured | Structured, point: float) -> float:
    """A layer's sparsity, by an allocation that is not even: `point` from −1, the least it may be, over 0, p, to 1, the most."""
    return min(max(pattern.sparsity + point * _SPREAD, 0.0), _MOST * (1 - pattern.outlier_rows))


def whole_groups(block_size: int, target: Target) -> int:
    """B columns, lowered to a multiple of m where groups of m go (at least m): no block cuts a group."""
    return max(target.m, block_size - block_size % target.m) if isinstance(target, Groups) else block_size


def outlier_count(rows: int, alpha: float) -> int:
    """⌈αc⌉: how many of c rows stay dense."""
    return math.ceil(as_written(alpha) * rows)


class Unstructured(FrozenModel):
    """Any entries of the layer."""

    kind: Literal["unstructured"] = "unstructured"
    sparsity: Sparsity = 0.5
    outlier_rows: OutlierRows = 0.0
    alpha_budget: AlphaBudget = "paper"

    @model_validator(mode="after")
    def _room(self) -> Unstructured:
        if self.alpha_budget == "iso" and as_written(self.sparsity) > 1 - as_written(self.outlier_rows):
            raise BadInput("outlier_rows", self.outlier_rows, f"at most 1 − p = {1 - self.sparsity:g} at p = {self.sparsity:g}",
                           "With the budget 'iso' the other rows must hold all the zeros: lower α or p, or use 'paper'.")
        return self

    def target(self, rows: int, columns: int) -> Entries:
        """⌊p·c·b⌋ entries over the active rows ('paper': c counts the active rows only)."""
        active = rows - outlier_count(rows, self.outlier_rows)
        count = math.floor(as_written(self.sparsity) * self._counted(rows) * columns)
        return Entries(count=min(count, active * columns))

    def with_count(self, count: int, rows: int, columns: int) -> Unstructured:
        """The sparsity at which exactly `count` entries go from a c×b layer."""
        return self.model_copy(update={"sparsity": (count + 0.5) / (self._counted(rows) * columns) if count else 0.0})

    def _counted(self, rows: int) -> int:
        return rows - outlier_count(rows, self.outlier_rows) if self.alpha_budget == "paper" else rows


class SemiStructured(FrozenModel):
    """n zeros in every m consecutive inputs of a row."""

    kind: Literal["semi-structured"] = "semi-structured"
    n: int = Field(default=2, ge=0, le=1024, title="n", description="Zeros in each group.", json_schema_extra={"symbol": "n"})
    m: int = Field(default=4, ge=1, le=1024, title="m", description="Consecutive inputs in a group.", json_schema_extra={"symbol": "m"})
    outlier_rows: OutlierRows = 0.0
    alpha_budget: AlphaBudget = "paper"

    @model_validator(mode="after")
    def _groups(self) -> SemiStructured:
        if self.n > self.m:
            raise BadInput("n", self.n, f"n from 0 to m = {self.m}", "n counts the zeros in each group of m: lower n or raise m.")
        if self.alpha_budget == "iso":
            _ = self.active_n
        return self

    @property
    def active_n(self) -> int:
        """n′, the zeros in each group of the rows that are not kept dense."""
        if self.alpha_budget == "paper":
            return self.n
        exact = self.n / (1 - as_written(self.outlier_rows))
        whole = round(exact)
        if whole <= self.m and abs(exact - whole) < 1e-6:  # α = 0.3333333 is meant as a third
            return whole
        near = sorted({max(0, min(self.m, k)) for k in (math.floor(exact), math.ceil(exact))})
        words = " or ".join(f"{k}:{self.m} ({100 * (1 - self.outlier_rows) * k / self.m:.1f} % counted)" for k in near)
        raise BadInput("outlier_rows", self.outlier_rows,
                       f"values for which n/(1 − α) is a whole number up to m = {self.m}; here it is {float(exact):.3g}",
                       f"No n′:{self.m} keeps {self.n}:{self.m}'s total; nearest: {words}. Use 'paper' with one of these.")

    def target(self, rows: int, columns: int) -> Groups:
        """n′ of every m inputs. Raises BadInput if not one group of m fits into the layer's inputs."""
        if self.m > columns:
            raise BadInput("m", self.m, f"1 to {columns}, the inputs of this layer", "Choose a smaller group.")
        return Groups(n=self.active_n, m=self.m)


class Structured(FrozenModel):
    """Whole input columns: ⌈p·b/(1−α)⌉ of them go from the rows that are not kept dense, so that p is kept."""

    kind: Literal["structured"] = "structured"
    sparsity: Sparsity = 0.3
    outlier_rows: OutlierRows = 0.0

    @model_validator(mode="after")
    def _room(self) -> Structured:
        if as_written(self.sparsity) > 1 - as_written(self.outlier_rows):
            raise BadInput("outlier_rows", self.outlier_rows, f"at most 1 − p = {1 - self.sparsity:g} at p = {self.sparsity:g}",
                           "p/(1 − α) of the columns would go, which is more than all: lower α or p.")
        return self

    def target(self, rows: int, columns: int) -> Columns:
        """s = ⌈p·b/(1−α)⌉ columns (Ilin & Richtárik 2025, structured pruning with outlier rows)."""
        return Columns(count=min(columns, math.ceil(as_written(self.sparsity) * columns / (1 - as_written(self.outlier_rows)))))

    def with_count(self, count: int, rows: int, columns: int) -> Structured:
        """The sparsity at which exactly `count` columns go from a c×b layer."""
        return self.model_copy(update={"sparsity": max(0, count - 0.5) * (1 - self.outlier_rows) / columns})


Pattern = Annotated[Unstructured | SemiStructured | Structured, Field(discriminator="kind")]


def parse_pattern(word: str, *, alpha: float = 0.0, alpha_budget: str = "paper") -> Unstructured | SemiStructured | Structured:
    """`0.5` or `50%`, `2:4`, `columns:0.3`. Raises BadInput for a word of another form, ValidationError for a value out of range."""
    number = r"(-?\d*\.?\d+(?:e-?\d+)?)(\s*%)?"
    text = word.strip().lower()
    share = {"outlier_rows": alpha}
    if match := re.fullmatch(number, text):
        return Unstructured.model_validate({"sparsity": _share(match), "alpha_budget": alpha_budget, **share})
    if match := re.fullmatch(rf"col(?:umn)?s?:{number}", text):
        return Structured.model_validate({"sparsity": _share(match), **share})
    if match := re.fullmatch(r"(\d{1,9}):(\d{1,9})", text):
        return SemiStructured.model_validate({"n": int(match[1]), "m": int(match[2]), "alpha_budget": alpha_budget, **share})
    raise BadInput("pattern", word, "0.5 or 50% (unstructured), 2:4 (n zeros in every m), columns:0.3 (whole columns)",
                   "Write it in one of these forms.")


def pattern_word(pattern: Unstructured | SemiStructured | Structured) -> str:
    """The shortest word that `parse_pattern` reads back; α and its budget are not part of it."""
    if isinstance(pattern, SemiStructured):
        return f"{pattern.n}:{pattern.m}"
    word = f"{pattern.sparsity!r}"
    return word if isinstance(pattern, Unstructured) else f"columns:{word}"


def _share(match: re.Match[str]) -> float:
    return float(match[1]) / 100 if match[2] else float(match[1])


def check_allocation(allocation: str, pattern: Unstructured | SemiStructured | Structured) -> None:
    """Raises BadInput for a pattern whose share is the same in every layer by its nature."""
    if allocation != "even" and isinstance(pattern, SemiStructured):
        raise BadInput("allocation", allocation, f"for {pattern_word(pattern)} only even",
                       "Every group of m loses n, so every layer has the same share: choose any weights or columns.")
