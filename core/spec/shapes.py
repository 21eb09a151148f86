"""Patterns whose tensors really become smaller: whole blocks; neurons and heads are in core/spec/units.py. What is left is a plain model.
No torch.

Nothing of α is possible here: an outlier row keeps all of its inputs, and inputs that are gone are gone for every row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from core.spec.errors import BadInput
from core.spec.pattern_base import SHARE, PatternBase, Sparsity, as_written, read_share
from core.spec.targets import Columns


def _no_rows(alpha: float) -> float:
    if alpha:
        raise BadInput("outlier_rows", alpha, "0 where shapes shrink", "An outlier row would keep all of its inputs, but a smaller tensor "
                       "has them for no row: leave α out, or choose columns, which are zeros.")
    return alpha


NoOutlierRows = Annotated[float, Field(ge=0, lt=1, title="Outlier rows", description="0: no row can stay whole."), AfterValidator(_no_rows)]


class Counted(PatternBase):
    """Patterns of a number of structures, or of a share of them, rounded to the nearest number."""

    if TYPE_CHECKING:  # as in PatternBase: each class says where they stand in the JSON
        count: int | None = None
        sparsity: float | None = None
    counts = True

    @model_validator(mode="after")
    def _one(self) -> Self:
        """Raise BadInput unless one of the two says how much goes."""
        if (self.count is None) == (self.sparsity is None):
            raise BadInput("pattern", f"{self.count} and {self.sparsity}", f"a number of {self.unit}, or a share of them",
                           "Give one of the two.")
        return self

    @property
    def word(self) -> str:
        return f"{self.prefix}:{self.amount!r}"

    @classmethod
    def parse(cls, word: str) -> dict[str, object] | None:
        if match := re.fullmatch(rf"{cls.prefix}?:(\d{{1,9}})", word):
            return {"count": int(match[1])}
        match = re.fullmatch(rf"{cls.prefix}?:{SHARE}", word)
        return {"sparsity": read_share(match)} if match else None

    @property
    def share(self) -> float | None:
        return self.sparsity

    @property
    def amount(self) -> float | None:
        return self.count if self.sparsity is None else self.sparsity

    def nearest(self, structures: int) -> int:
        """Number of structures that go, of so many."""
        gone = self.count if self.sparsity is None else math.floor(as_written(self.sparsity) * structures + as_written(0.5))
        assert gone is not None
        return gone


class Blocks(Counted):
    """Whole decoder blocks: so many of them, or this share of them, rounded to the nearest number."""

    label, example, prefix, unit = "blocks", "blocks:2 or blocks:0.25 (whole blocks)", "blocks", "blocks"
    shrinks, by_layer, solves = True, False, False
    alike = "A block goes with all of its layers, and the others keep all of theirs."
    scored_by = ("A block goes as a whole, and no layer is solved: choose a method that scores blocks, such as influence, angular, "
                 "left-out or taylor.")
    refuses: ClassVar[Mapping[str, str]] = {
        "update": "The kept blocks stay as they are: leave it out.", "refit": "The kept blocks stay as they are: leave it out.",
        "true_sequential": "No inputs of layers are collected: leave it out.",
        "allocation": "A block goes or stays as a whole: leave it out.",
        "propagation": "The kept blocks stay as they are and make up for nothing: leave it out.",
        "fisher": "No errors of outputs are weighed. The method Taylor goes by the loss: choose it, or leave this out.",
        "random_rows": "No rows are chosen: leave it out.", "reconstruct": "The kept blocks stay as they are: leave it out.",
        "experts": "No inputs of experts are collected: leave it out.",
        "no_optimum": "No layer has an optimum: leave it out."}

    kind: Literal["blocks"] = "blocks"
    count: int | None = Field(default=None, ge=0, le=100_000, title="Blocks", description="How many blocks go.")
    sparsity: Sparsity | None = None
    outlier_rows: NoOutlierRows = 0.0

    def number(self, blocks: int, staying: int = 0) -> int:
        """Number of blocks that go, of so many of which `staying` must stay. Raises BadInput where none would be left."""
        count = self.nearest(blocks)
        if count > blocks - max(1, staying):
            kept = f", of which {staying} must stay" if staying else ""
            raise BadInput("pattern", self.word, f"at most {blocks - max(1, staying)} blocks of this model's {blocks}{kept}",
                           "Let fewer of them go.")
        return count

    def target(self, rows: int, columns: int) -> Columns:
        """Raises BadInput: no layer has a target of its own."""
        raise BadInput("pattern", self.word, "a pattern of the weights of one layer", "Whole blocks are chosen by a run; a layer alone, "
                       "and a preview, cannot tell what they cost.")
