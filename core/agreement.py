"""Two masks counted against each other. No torch: the web server reads these counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Two masks of one layer, counted: weights removed by both, only by A, only by B, by neither."""

    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def entries(self) -> int:
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def agreement(self) -> float:
        """The share of all weights with the same fate in both."""
        return (self.both + self.neither) / self.entries

    @property
    def jaccard(self) -> float:
        """Removed by both over removed by either; 1 where neither removes anything."""
        either = self.both + self.only_a + self.only_b
        return self.both / either if either else 1.0

    @property
    def agreement_by_chance(self) -> float:
        """The agreement of two masks of these sparsities p and q that know nothing of each other: pq + (1−p)(1−q)."""
        p, q = self.sparsities
        return p * q + (1 - p) * (1 - q)

    @property
    def jaccard_by_chance(self) -> float:
        """pq / (p + q − pq), the same for the Jaccard index."""
        p, q = self.sparsities
        return p * q / (p + q - p * q) if p + q else 1.0

    @property
    def sparsities(self) -> tuple[float, float]:
        """Counted from the masks."""
        return (self.both + self.only_a) / self.entries, (self.both + self.only_b) / self.entries
