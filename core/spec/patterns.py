"""Sparsity patterns, and how many entries each takes from a layer. Integer arithmetic only; no torch.

Vocabulary: p is `sparsity`, α is `outlier_rows`, n:m means n zeros in every m consecutive inputs of a row.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from core.spec.errors import BadInput
from core.spec.pattern_base import SHARE, AlphaBudget, OutlierRows, PatternBase, Sparsity, as_written, outlier_count, read_share
from core.spec.shapes import Blocks
from core.spec.targets import Columns, Entries, Groups, Target, whole_groups
from core.spec.units import Heads, Neurons

__all__ = [
    "KINDS", "AlphaBudget", "AnyPattern", "Blocks", "Columns", "Entries", "Groups", "Heads", "Neurons", "OutlierRows",
    "Pattern", "SemiStructured", "Sparsity", "Structured", "Target", "Unstructured", "as_written", "check_allocation", "nearby",
    "outlier_count", "parse_pattern", "pattern_word", "whole_groups",
]
_SPREAD, _MOST = 0.15, 0.99  # with an allocation that is not even, a layer's sparsity is no further from p, and no more of its active rows


def nearby(pattern: Unstructured | Structured, point: float) -> float:
    """A layer's sparsity, by an allocation that is not even: `point` from −1, the least it may be, over 0, p, to 1, the most."""
    return min(max(pattern.sparsity + point * _SPREAD, 0.0), _MOST * (1 - pattern.outlier_rows))


class Unstructured(PatternBase):
    """Any entries of the layer."""

    label, example, has_budget = "any weights", "0.5 (any weights)", True
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

    @property
    def word(self) -> str:
        return f"{self.sparsity!r}"

    @classmethod
    def parse(cls, word: str) -> dict[str, object] | None:
        match = re.fullmatch(SHARE, word)
        return {"sparsity": read_share(match)} if match else None

    @property
    def share(self) -> float | None:
        return self.sparsity

    @property
    def budget(self) -> str | None:
        return self.alpha_budget

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


class SemiStructured(PatternBase):
    """n zeros in every m consecutive inputs of a row."""

    label, example, has_budget = "n:m", "2:4 (n zeros in every m)", True
    alike = "Every group of m loses n, so every layer has the same share: choose any weights or columns."
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
    def word(self) -> str:
        return f"{self.n}:{self.m}"

    @classmethod
    def parse(cls, word: str) -> dict[str, object] | None:
        match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", word)
        return {"n": int(match[1]), "m": int(match[2])} if match else None

    @property
    def group(self) -> int | None:
        return self.m

    @property
    def budget(self) -> str | None:
        return self.alpha_budget

    @property
    def active_n(self) -> int:
        """n′, the zeros in each group of the rows that are not kept dense."""
        if self.alpha_budget == "paper":
            return self.n
        exact = self.n / (1 - as_written(self.outlier_rows))
        if (whole := round(exact)) <= self.m and abs(exact - whole) < 1e-6:  # α = 0.3333333 is meant as a third
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


class Structured(PatternBase):
    """Whole input columns: ⌈p·b/(1−α)⌉ of them go from the rows that are not kept dense, so that p is kept."""

    label, example, prefix, unit, whole_columns = "columns", "columns:0.3", "columns", "columns", True
    kind: Literal["structured"] = "structured"
    sparsity: Sparsity = 0.3
    outlier_rows: OutlierRows = 0.0

    @model_validator(mode="after")
    def _room(self) -> Structured:
        if as_written(self.sparsity) > 1 - as_written(self.outlier_rows):
            raise BadInput("outlier_rows", self.outlier_rows, f"at most 1 − p = {1 - self.sparsity:g} at p = {self.sparsity:g}",
                           "p/(1 − α) of the columns would go, which is more than all: lower α or p.")
        return self

    @property
    def word(self) -> str:
        return f"columns:{self.sparsity!r}"

    @classmethod
    def parse(cls, word: str) -> dict[str, object] | None:
        match = re.fullmatch(rf"col(?:umn)?s?:{SHARE}", word)
        return {"sparsity": read_share(match)} if match else None

    @property
    def share(self) -> float | None:
        return self.sparsity

    def target(self, rows: int, columns: int) -> Columns:
        """s = ⌈p·b/(1−α)⌉ columns (Ilin & Richtárik 2025, structured pruning with outlier rows)."""
        return Columns(count=min(columns, math.ceil(as_written(self.sparsity) * columns / (1 - as_written(self.outlier_rows)))))

    def with_count(self, count: int, rows: int, columns: int) -> Structured:
        """The sparsity at which exactly `count` columns go from a c×b layer."""
        return self.model_copy(update={"sparsity": max(0, count - 0.5) * (1 - self.outlier_rows) / columns})


AnyPattern = Unstructured | SemiStructured | Structured | Neurons | Heads | Blocks
Pattern = Annotated[AnyPattern, Field(discriminator="kind")]
KINDS: dict[str, type[AnyPattern]] = {kind.model_fields["kind"].default: kind for kind in get_args(AnyPattern)}


def parse_pattern(word: str, *, alpha: float = 0.0, alpha_budget: str = "paper") -> AnyPattern:
    """`0.5` or `50%`, `2:4`, `columns:0.3`, `heads:2`. Raises BadInput for another form, ValidationError for a value out of range."""
    text = word.strip().lower()
    for kind in KINDS.values():
        fields = kind.parse(text)
        if fields is not None:
            budget = {"alpha_budget": alpha_budget} if kind.has_budget else {}
            return kind.model_validate({**fields, **budget, "outlier_rows": alpha})
    raise BadInput("pattern", word, "0.5 or 50% (any weights), 2:4 (n zeros in every m), columns:0.3 (whole columns), "
                   "neurons:0.3 (of the MLPs), heads:2 (of the attention), blocks:2 (whole blocks)", "Write it in one of these forms.")


def pattern_word(pattern: AnyPattern) -> str:
    """The shortest word that `parse_pattern` reads back; α and its budget are not part of it."""
    return pattern.word


def check_allocation(allocation: str, pattern: AnyPattern) -> None:
    """Raises BadInput for a pattern whose share is the same in every layer by its nature."""
    reason = pattern.alike or ("Saliencies are of single weights." if allocation == "global" and pattern.whole_columns else "")
    if allocation != "even" and reason:
        raise BadInput("allocation", allocation, f"for {pattern.word} {'only even' if pattern.alike else 'even or marginal'}", reason)
