"""Two masks counted against each other: of one layer, or of all layers of two runs. No torch: the web server reads these counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Numbers of weights that masks A and B both remove, only A, only B, neither."""

    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def entries(self) -> int:
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def either(self) -> int:
        """Removed by A, by B, or by both."""
        return self.both + self.only_a + self.only_b

    @property
    def sparsities(self) -> tuple[float, float]:
        """Counted from the masks."""
        return (self.both + self.only_a) / self.entries, (self.both + self.only_b) / self.entries

    @property
    def same(self) -> bool:
        """True if A and B are the same mask."""
        return not self.only_a and not self.only_b

    @property
    def common(self) -> float:
        """Of the weights that A removes, the share that B removes too; 1 where A removes none."""
        return self.both / (self.both + self.only_a) if self.both + self.only_a else 1.0

    @property
    def agreement(self) -> float:
        """The share of all weights with the same fate in both."""
        return (self.both + self.neither) / self.entries

    @property
    def agreement_by_chance(self) -> float:
        """The agreement of two masks of these sparsities p and q that know nothing of each other: pq + (1−p)(1−q)."""
        p, q = self.sparsities
        return p * q + (1 - p) * (1 - q)

    @property
    def jaccard(self) -> float:
        """Removed by both over removed by either; 1 where neither removes anything."""
        return self.both / self.either if self.either else 1.0

    @property
    def jaccard_by_chance(self) -> float:
        """pq / (p + q − pq), the same for the Jaccard index."""
        p, q = self.sparsities
        return p * q / (p + q - p * q) if p + q else 1.0


@dataclass(frozen=True, kw_only=True)
class Overlaps:
    """The layers that two runs A and B share, by name, in the order of A."""

    layers: Mapping[str, Overlap]

    @property
    def whole(self) -> Overlap:
        """The same of the whole model."""
        return Overlap(**{field: sum(getattr(layer, field) for layer in self.layers.values())
                          for field in ("both", "only_a", "only_b", "neither")})


def count_masks(a: Tensor, b: Tensor) -> Overlap:
    """Two bool masks [c, b], True where a weight goes."""
    both, first, second = (int(mask.count_nonzero()) for mask in (a & b, a, b))
    return Overlap(both=both, only_a=first - both, only_b=second - both, neither=a.numel() - first - second + both)
