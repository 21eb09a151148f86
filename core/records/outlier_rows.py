"""Records of outlier rows. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.records.runs import Evaluated


@dataclass(frozen=True, kw_only=True)
class EnergyShare:
    """The `count` rows of most energy of a layer, and the share of tr(WGWᵀ) that they hold."""

    name: str
    block: int
    module: str
    rows: int
    count: int
    share: float
    large: bool = False  # what a method does in it is estimated from some of its rows


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnFates:
    """Columns of a layer: v_j = Σ_active W_ij²·G_jj as shares of their sum [b], those that go, and those that go without outlier rows."""

    losses: NDArray[np.float64]
    gone: NDArray[np.bool_]
    gone_without: NDArray[np.bool_]

    @property
    def spared(self) -> int:
        """Columns that would go if no row were kept, and stay now; as many others go in their place, and more for the rows kept."""
        return int((self.gone_without & ~self.gone).sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerRows:
    """A layer's rows by their energy h_i, the most first, as shares of the whole: `rows` their indices, `cumulative` with all before.

    Of more than a few thousand rows the first thousand and evenly spaced others: `ranks` [k] counts from 0. `dense_rows` are those
    that the solution kept, ascending; `error` its relative error and `error_without` that of α = 0, both with their counted sparsity.
    """

    name: str
    shape: tuple[int, int]
    tokens: int
    ranks: NDArray[np.int64]
    rows: NDArray[np.int64]
    shares: NDArray[np.float64]
    cumulative: NDArray[np.float64]
    dense_rows: tuple[int, ...]
    held: float
    error: float
    counted_sparsity: float
    error_without: float
    counted_without: float
    columns: ColumnFates | None = None
    estimated: bool = False  # the errors, and of methods that move weights the columns, are from some rows of a large layer


@dataclass(frozen=True, kw_only=True)
class LayerPoint:
    """A layer's relative error at α, with the rows of most energy kept, and with as many random rows, once a draw."""

    alpha: float
    count: int
    counted_sparsity: float
    error: float
    random: tuple[float, ...] = ()
    estimated: bool = False  # from some rows of a large layer


@dataclass(frozen=True, kw_only=True)
class ModelPoint:
    """The whole model at α, estimated as a preview is: `draw` says which random rows were kept, None those of most energy."""

    alpha: float
    draw: int | None
    pruned: Evaluated
    counted_sparsity: float
    median_error: float
    calibration: str
    seconds: float
