"""Frontier, the method of this project. No torch."""

from __future__ import annotations

from pydantic import Field

from core.spec.methods.base import Damped, Damping, Summary, named
from core.spec.patterns import Pattern, SemiStructured, Structured


class Frontier(Damped):
    """Ours: the mask grows round by round with refits in between, then a search exchanges kept and pruned entries."""

    label, order, version, couples = "Frontier", 100, 3, True
    update_family = "exact"
    lessons = frozenset({"masks"})
    summary = Summary("grows, then exchanges", "conjugate gradients", "50 and the search", "frontier.md")
    name: str = named("frontier")
    rounds: int = Field(default=8, ge=1, le=1000, title="Rounds", description="How often the mask is chosen anew.")
    steps: int = Field(default=4, ge=1, le=1000, title="Steps a round", description="Conjugate gradient steps after each choice.")
    search: int = Field(default=512, ge=0, le=4096, title="Search width",
                        description="Columns at a time in which kept and pruned entries are exchanged after the rounds; 0: none.")
    patience: int = Field(default=10, ge=0, le=1000, title="Patience",
                          description="Exchanges that lose which are tried before a row's search ends; 0: it ends where none gains.")
    polish: int = Field(default=10, ge=0, le=1000, title="Polish", description="Further steps at the end.")
    damping: Damping = 0.003

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        if isinstance(pattern, Structured):
            return 4 * columns**3
        return columns**3 * (1 + (2 / 3 * columns / self.search if self.search and columns > self.search else 0))

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        if isinstance(pattern, Structured):
            exchanges = bool(self.search) * columns / 20  # as many as were seen
            return pattern.sparsity * columns**2 * (rows + columns) + exchanges * rows * columns**2
        products = self.rounds * (1 + self.steps) + self.polish
        width = min(self.search, columns)
        if not width:
            return rows * columns * products * columns
        visits = 2 if columns > width or (self.patience and not isinstance(pattern, SemiStructured)) else 1
        if columns > width:
            products += 2 * (1 + self.steps) * columns / width
        moves = self.patience + 15  # as far as was seen
        return rows * columns * (products * columns + 2.5 * visits * width * (width / 4 + 5 / 4 * moves))  # at 40 % of its rate

    def coupling_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        """F^φ and which rows may move together, as long as some ten products of c×c×c; c²·b beside each c·b² of the refits; and a search
        in turns, which takes a third longer than one of all rows (measured)."""
        if isinstance(pattern, Structured):
            return 10 * rows**3
        refits = self.rounds * (2 + self.steps) + 2 * self.polish
        return 10 * rows**3 + refits * rows**2 * columns + self.layer_work(rows, columns, pattern) / 3
