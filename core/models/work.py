"""Sizes of a model that the cost of a run depends on, and its work by stage."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Work:
    """Multiply-adds of a whole run by stage."""

    collect: float  # calibration forward with Gram matrices
    solve: float
    push: float  # calibration forward through the pruned blocks
    evaluate: float
    allocate: float = 0.0  # a pass of its own before all others, where layers differ
    weigh: float = 0.0  # forward and back before all others, where outputs differ
    reconstruct: float = 0.0  # forward and back through each block, where its kept weights are trained
    score: float = 0.0  # forward and back before all others, where neurons or heads are scored

    @property
    def total(self) -> float:
        return self.collect + self.solve + self.push + self.evaluate + self.allocate + self.weigh + self.reconstruct + self.score


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a model that its cost depends on: groups of layers that share an input, as (columns, rows of each)."""

    groups: tuple[tuple[int, tuple[int, ...]], ...]
    hidden: int
    vocabulary: int
    shares: tuple[float, ...] = ()  # of the tokens that each group reads: experts read a part; empty: all read all
    blocks: int = 1
    solved: tuple[tuple[int, tuple[int, ...]], ...] | None = None  # of these, where only layers that read units are solved

    @property
    def tokens(self) -> tuple[float, ...]:
        """The share of the tokens of every group."""
        return self.shares or (1.0,) * len(self.groups)

    @property
    def prunable(self) -> int:
        return sum(columns * sum(rows) for columns, rows in self.groups)
