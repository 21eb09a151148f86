"""Frontier, the method of this project. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from core.spec.methods.base import Damped, Damping, Summary, named
from core.spec.patterns import Pattern, SemiStructured, Structured
from core.spec.units import ONE_BY_ONE

_WIDE = 1024  # inputs from which Frontier keeps to the time of some 60 products


class Frontier(Damped):
    """Ours: alternating directions with a slowly rising penalty, then a search that swaps kept and pruned entries."""

    label, order, version, couples = "Frontier", 100, 4, True
    update_family = "exact"
    lessons = frozenset({"masks"})
    refuses: ClassVar[Mapping[str, str]] = ONE_BY_ONE
    summary = Summary("ADMM with a rising penalty, then swaps", "conjugate gradients", "60 to 140, and the search", "frontier.md")
    name: str = named("frontier")
    rounds: int | None = Field(default=None, ge=1, le=1000, title="Rounds", description="How many values the penalty takes; for whole "
                               f"columns, in how many rounds they go. Automatic: 20, from {_WIDE} inputs on 9; columns 8.")
    steps: int | None = Field(default=None, ge=1, le=1000, title="Steps a round", description="Iterations at each penalty. "
                              f"Automatic: 5, from {_WIDE} inputs on 4.")
    search: int = Field(default=512, ge=0, le=4096, title="Search width", description="Layers of up to so many inputs have their kept and "
                        "pruned entries swapped after the rounds; 0: none.")
    patience: int = Field(default=10, ge=0, le=1000, title="Patience",
                          description="Swaps that lose which are tried before a row's search ends; 0: it ends where none gains.")
    polish: int = Field(default=10, ge=0, le=1000, title="Polish", description="Conjugate gradient steps before and after the search.")
    damping: Damping = 0.003

    def searches(self, columns: int) -> bool:
        """True for a layer of b inputs that is searched."""
        return columns <= self.search

    def schedule(self, columns: int) -> tuple[int, int]:
        """Rounds and steps for a layer of b inputs."""
        wide = columns >= _WIDE
        return self.rounds or (9 if wide else 20), self.steps or (4 if wide else 5)

    @property
    def column_rounds(self) -> int:
        return self.rounds or 8

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        return (4 if isinstance(pattern, Structured) else 1.2 * self.schedule(columns)[0]) * columns**3

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        if isinstance(pattern, Structured):
            exchanges = bool(self.search) * columns / 20  # as many as were seen
            return pattern.sparsity * columns**2 * (rows + columns) + exchanges * rows * columns**2
        rounds, steps = self.schedule(columns)
        products = rounds * steps + self.polish + 2
        if not self.searches(columns):
            return rows * columns**2 * products
        visits = 2 if self.patience and not isinstance(pattern, SemiStructured) else 1
        moves = self.patience + 5  # as far as was seen
        return rows * columns**2 * (products + self.polish + 2.5 * visits * (columns / 4 + 5 / 4 * moves))  # at 40 % of its rate

    def coupling_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        """F^φ and which rows may move together, as long as some ten products of c×c×c; two eigendecompositions; twice the products, and
        c²·b beside each c·b²; a search in turns, which takes a third longer than one of all rows (measured)."""
        if isinstance(pattern, Structured):
            return 10 * rows**3
        rounds, steps = self.schedule(columns)
        refits = 2 * rounds * steps + 4 * self.polish
        return 18 * rows**3 + 8 * columns**3 + refits * rows * columns * (columns / 2 + rows) + self.layer_work(rows, columns, pattern) / 3
