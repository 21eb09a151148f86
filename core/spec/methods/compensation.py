"""Methods that compensate each removal by the Hessian's inverse: SparseGPT, Thanos, OBC. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from core.spec.methods.base import (
    Blocked,
    BlockSize,
    Compensating,
    Damping,
    Granular,
    Granularity,
    RaiseDamping,
    Summary,
    named,
)
from core.spec.patterns import Pattern, Structured
from core.spec.units import ONE_BY_ONE


class SparseGPT(Blocked, Compensating):
    """Column by column, each error compensated to the right (Frantar & Alistarh 2023)."""

    label, order, quick = "SparseGPT", 30, True
    lessons = frozenset({"steps", "masks"})
    refuses: ClassVar[Mapping[str, str]] = ONE_BY_ONE
    summary = Summary("W²/[H⁻¹] by blocks", "to the right of each column", "1", "sparsegpt.md")
    name: str = named("sparsegpt")
    block_size: BlockSize = 128
    damping: Damping = 0.01
    raise_damping: RaiseDamping = False

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        return rows * columns**2


class Thanos(Blocked, Compensating):
    """Block by block, each row's removals compensated jointly (Ilin & Richtárik 2025)."""

    label, order, quick = "Thanos", 40, True
    lessons = frozenset({"steps", "masks"})
    summary = Summary(r"\|W\|·‖X‖ of what is left", "to the right of each block, jointly", "1 and the rows' systems", "thanos.md")
    name: str = named("thanos")
    block_size: BlockSize = None
    damping: Damping = 0.01
    raise_damping: RaiseDamping = False

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        return columns**3 * (0.5 if isinstance(pattern, Structured) else 1.0)

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        within = 0 if isinstance(pattern, Structured) else min(self.block_size or 128, columns) ** 2 / 48
        return rows * columns * (columns + within)


class Obc(Granular, Compensating):
    """One weight at a time, always the one whose loss is least with all others refitted: exact, slow (Frantar & Alistarh 2022)."""

    label, order = "OBC", 50
    lessons = frozenset({"steps", "masks"})
    refuses: ClassVar[Mapping[str, str]] = ONE_BY_ONE
    summary = Summary("greedy, exact", "exact", "b/6", "obc.md")
    name: str = named("obc")
    granularity: Granularity = "layer"
    damping: Damping = 0.01
    raise_damping: RaiseDamping = False

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        if isinstance(pattern, Structured):
            return columns**2 * (rows + 20 * pattern.sparsity * columns)  # a removal goes at the rate of memory, in float64
        return rows * columns**2 * (100 + columns / 12)  # at most columns/6 of the trace at a product's rate; 100 for the choices
