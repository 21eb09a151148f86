"""Journal of a run: finished blocks, or rounds of scoring, so that a rerun continues at the next one. No torch at run time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.records import BlockReconstruction, LayerRecord, ScoredRound

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class BlockState:
    """A finished block: its records, and the pruned weights [out, in] in the model's dtype by layer name.

    Where whole blocks go no layer is solved: `scored` is a finished round of scoring instead, and there are no records and no weights.
    """

    layers: tuple[LayerRecord, ...]
    weights: Mapping[str, Tensor]
    reconstruction: BlockReconstruction | None = None
    scored: ScoredRound | None = None


class Journal(Protocol):
    """Storage of finished blocks. The activations are not kept: a rerun recomputes them through the finished blocks,
    with the same bits, for one forward pass a block."""

    def read(self, block: int) -> BlockState | None:
        """The finished block, or None if it is not there (or was cut off while being written)."""
        ...

    def write(self, block: int, state: BlockState) -> None:
        """Keep a finished block; all of it or nothing."""
        ...
