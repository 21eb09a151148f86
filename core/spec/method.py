"""Base class of the methods' parameters, and the fields that several share. No torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from core.spec.base import FrozenModel
from core.spec.errors import BadInput
from core.spec.patterns import Pattern, SemiStructured, pattern_word


class MethodParameters(FrozenModel):
    """What all methods share. `version` goes up when a change moves the numbers: it is part of every cache key."""

    label: ClassVar[str]
    version: ClassVar[int] = 1
    couples: ClassVar[bool] = False  # whether rows make up for each other where Fisher weighting says what that is worth
    refuses: ClassVar[dict[str, str]] = {}  # kind of pattern -> why this method has no meaning for it

    @property
    def by_row(self) -> bool:
        """Whether single entries go in equal numbers from every row, each row's share rounded down."""
        return getattr(self, "granularity", "layer") == "row"

    def check(self, pattern: Pattern) -> None:
        """Raises BadInput for a pattern that has no meaning for this method."""
        reason = self.refuses.get(pattern.kind)
        if reason is not None:
            allowed = " or ".join(word for kind, word in PATTERN_KINDS.items() if kind not in self.refuses)
            raise BadInput("pattern", pattern_word(pattern), f"for {self.label}, {allowed}", reason)

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        """Multiply-adds that layers with the same b inputs share: what is made of G alone."""
        return 0.0

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        """Multiply-adds of one c×b layer beyond that; a product with a b×b matrix is c·b²."""
        return 0.0

    def coupling_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        """Multiply-adds beyond that of a layer whose rows are coupled."""
        return 0.0

    def resolved(self, pattern: Pattern) -> Self:
        """The same parameters with every 'automatic' replaced by what it means for this pattern."""
        block_size = getattr(self, "block_size", 0)
        if block_size is not None:
            return self
        return self.model_copy(update={"block_size": 512 if isinstance(pattern, SemiStructured) else 128})


PATTERN_KINDS = {"unstructured": "0.5 (any weights)", "semi-structured": "2:4 (n zeros in every m)", "structured": "columns:0.3"}
BlockSize = Annotated[
    int | None,
    Field(ge=1, title="Block size", description="B: columns pruned at a time. Automatic: 128, for n:m 512.",
          json_schema_extra={"symbol": "B"}),
]
Damping = Annotated[
    float,
    Field(ge=0, le=100, title="Damping", description="λ: this share of the mean diagonal is added to the Gram matrix.",
          json_schema_extra={"symbol": "λ"}),
]
RaiseDamping = Annotated[
    bool,
    Field(title="May raise damping", description="If the factorisation fails, try 10 times the damping, up to 3 times; "
          "the result says so."),
]
Iterations = Annotated[int, Field(ge=1, le=10_000, title="Iterations", description="Products of the weights with a b×b matrix.")]
Granularity = Annotated[
    Literal["layer", "row"],
    Field(title="Compare within", description="One threshold for the layer, or one for each row."),
]
