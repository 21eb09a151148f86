"""Methods that score whole structures and solve no layer: decoder blocks, neurons, heads that cost least. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from core.spec.errors import BadInput
from core.spec.methods.base import MethodParameters, Summary, named
from core.spec.patterns import Pattern

SAMPLE_TOKENS = 8192  # of the calibration text, in whole windows, for scores that take more than one forward pass
_CHOOSES = "It chooses whole structures and solves no layer: choose blocks, or another method."
_AS_THEY_ARE = "as they are"

Greedy = Annotated[bool, Field(title="One at a time", description="After each block that goes the others are scored anew, without it.")]
Kept = Annotated[int | None, Field(ge=0, le=100_000)]


class StructureScore(MethodParameters):
    """Base of the methods that solve no layer."""

    solves_layers = False
    contiguous: ClassVar[bool] = False  # one run of consecutive blocks goes
    sampled: ClassVar[bool] = False  # SAMPLE_TOKENS are read, not all of the calibration text
    score_label: ClassVar[str] = ""  # of the scores, for people
    shapes = frozenset({"blocks"})
    refuses: ClassVar[Mapping[str, str]] = dict.fromkeys(("unstructured", "semi-structured", "structured"), _CHOOSES)

    @property
    def one_at_a_time(self) -> bool:
        """True if blocks are scored anew after each that goes."""
        return False

    def staying(self, blocks: int) -> tuple[int, int]:
        """Number of first and of last blocks that stay, of so many."""
        return 0, 0

    def passes(self, blocks: int) -> float:
        """Forward passes over the text that is read, in which so many blocks are scored once."""
        return 1.0


class Influence(StructureScore):
    """The blocks that change the hidden states least go: 1 − cos of what goes in and what comes out (Men et al. 2024)."""

    label, order, kernel = "Block influence", 200, "core.structures.influence"
    score_label = "1 − cos of its input and output"
    summary = Summary("blocks, 1 − cos of input and output", _AS_THEY_ARE, "0; one forward pass", "shapes.md")
    name: str = named("influence")
    greedy: Greedy = False

    @property
    def one_at_a_time(self) -> bool:
        return self.greedy


class Angular(StructureScore):
    """The run of consecutive blocks that turns the hidden states least goes (Gromov et al. 2024)."""

    label, order, kernel, contiguous = "Angular distance", 210, "core.structures.angular", True
    score_label = "angular distance over the blocks from here"
    summary = Summary("consecutive blocks, angle of input and output", _AS_THEY_ARE, "0; one forward pass", "shapes.md")
    name: str = named("angular")


class LeftOut(StructureScore):
    """The blocks without which the calibration text's perplexity is least go (Kim et al. 2024)."""

    label, order, kernel, sampled = "Perplexity left out", 220, "core.structures.left_out", True
    score_label = "perplexity without it, calibration text"
    summary = Summary("blocks, perplexity without each", _AS_THEY_ARE, "0; half a forward pass a block", "shapes.md")
    name: str = named("left-out")
    greedy: Greedy = False

    @property
    def one_at_a_time(self) -> bool:
        return self.greedy

    def passes(self, blocks: int) -> float:
        return 1 + blocks / 2


class Taylor(StructureScore):
    """The structures whose weights matter least to the loss by its first derivative go (Ma et al. 2023; Kim et al. 2024).

    Blocks by Σ|w·∂ℓ/∂w|, neurons and heads by |Σ w·∂ℓ/∂w| over their weights in all layers that make or read them.
    """

    label, order, kernel, sampled = "Taylor", 230, "core.structures.taylor", True
    score_label = "Σ|w·∂ℓ/∂w|"
    shapes = frozenset({"blocks", "neurons", "heads"})
    summary = Summary(r"blocks, Σ\|w·∂ℓ/∂w\|; neurons and heads, \|Σ w·∂ℓ/∂w\|", _AS_THEY_ARE, "0; one pass forward and back", "shapes.md")
    name: str = named("taylor")
    greedy: Greedy = False
    keep_first: Kept = Field(default=None, title="First blocks that stay", description="Automatic: 4, in a model of fewer than 16 blocks a "
                             "quarter of them.")
    keep_last: Kept = Field(default=None, title="Last blocks that stay", description="Automatic: 2, in a model of fewer than 8 blocks a "
                            "quarter of them.")

    @property
    def one_at_a_time(self) -> bool:
        return self.greedy

    def check(self, pattern: Pattern) -> None:
        super().check(pattern)
        for name in ("greedy", "keep_first", "keep_last") if pattern.solves else ():
            if getattr(self, name) not in (None, False):
                raise BadInput(name, str(getattr(self, name)).lower(), f"for blocks alone, not for {pattern.word}",
                               "Every block keeps the same number, scored once: leave it out.")

    def staying(self, blocks: int) -> tuple[int, int]:
        return (min(4, blocks // 4) if self.keep_first is None else self.keep_first,
                min(2, blocks // 4) if self.keep_last is None else self.keep_last)

    def passes(self, blocks: int) -> float:
        return 4.0
