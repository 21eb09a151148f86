"""Records of structures that a run took out of a model. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.spec.base import FrozenModel

UnitName = Literal["neurons", "heads"]


class ScoredRound(FrozenModel):
    """One round of scoring of a run whose blocks go: scores of the candidates that were left, and the blocks that go by them."""

    scores: dict[int, float]
    removed: tuple[int, ...]


class RemovedShape(FrozenModel):
    """Structures that a run took out of the model, so that its tensors are smaller."""

    unit: Literal["blocks", "neurons", "heads"]
    blocks: tuple[int, ...] = ()  # decoder blocks that went, in the order in which they were chosen
    # of each block before any went, the least went first; of consecutive blocks by the first of them
    scores: dict[int, float] = Field(default_factory=dict[int, float])
    score: str = ""  # what the scores are
    tokens: int = 0  # of the calibration text that were read for them
    neurons: dict[int, tuple[int, ...]] = Field(default_factory=dict[int, tuple[int, ...]])  # that went, by block, ascending
    heads: dict[int, tuple[int, ...]] = Field(default_factory=dict[int, tuple[int, ...]])  # the same of heads, or of groups of heads
    size: int = 0  # neurons, heads or groups of each block before
    span: int = 1  # heads of a group
    setting: str = ""  # their number's name in a configuration
    settings: dict[str, int] = Field(default_factory=dict[str, int])  # all that the smaller configuration says of heads
    parameters: int  # of the dense model; tied weights once
    removed: int  # parameters that are gone

    def kept(self, blocks: int) -> tuple[int, ...]:
        """The blocks of so many that stay, in order."""
        return tuple(block for block in range(blocks) if block not in self.blocks)

    @property
    def gone(self) -> dict[int, tuple[int, ...]]:
        """Neurons, heads or groups that went, by block."""
        return self.heads if self.unit == "heads" else self.neurons

    def kept_units(self, block: int) -> tuple[int, ...]:
        """The neurons, heads or groups of a block that stay, in order."""
        gone = set(self.gone.get(block, ()))
        return tuple(unit for unit in range(self.size) if unit not in gone)

    @property
    def config_words(self) -> dict[str, int]:
        """Words of the smaller model's configuration on its neurons or heads."""
        return self.settings or {self.setting: len(self.kept_units(0))}

    @property
    def left(self) -> int:
        """Parameters of the model that is left."""
        return self.parameters - self.removed

    @property
    def words(self) -> str:
        """`blocks 3 and 4 are gone, 1,574,400 of 5,771,008 parameters (27.3 %)`."""
        share = f"{self.removed:,} of {self.parameters:,} parameters ({100 * self.removed / max(1, self.parameters):.1f} %)"
        if self.unit != "blocks":
            gone = self.span * len(next(iter(self.gone.values()), ()))
            groups = f" in groups of {self.span}" if self.span > 1 else ""
            return f"{gone:,} of {self.span * self.size:,} {self.unit} of each block are gone{groups}, {share}"
        if not self.blocks:
            return "no block is gone"
        names = [str(block) for block in sorted(self.blocks)]
        listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        return f"block{'s' if len(names) > 1 else ''} {listed} {'are' if len(names) > 1 else 'is'} gone, {share}"
