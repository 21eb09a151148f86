"""Records of what-if sessions. No torch."""

from __future__ import annotations

from core.records.runs import Evaluated, LayerRecord, median_gap
from core.spec import RunSpec, SparseGPT
from core.spec.base import FrozenModel

ROWS = 4  # of each layer that a slow method prunes at once
FIRST_ROWS = 256  # of a large layer that a method prunes at first (core/whatif/first_look.py)
LARGE = 1 << 34  # multiply-adds c·b² of a product above which a layer is answered for from some of its rows at first
BASE = SparseGPT()  # prunes these and all others (core/whatif/row_sampling.py)


def is_large(rows: int, columns: int) -> bool:
    """True if the error of a c×b layer takes so long that an estimate comes first."""
    return rows * columns**2 > LARGE


class LayerEstimate(LayerRecord):
    """A layer whose error is an estimate from `error_rows` of its rows, with the standard error `error_spread`."""

    error_rows: int
    error_spread: float

    @property
    def error_words(self) -> str:
        """`estimate from 141 of 4,096 rows, ± 0.8 %`."""
        share = 100 * self.error_spread / self.relative_error if self.relative_error > 0 else 0.0
        return f"estimate from {self.error_rows:,} of {self.shape[0]:,} rows, ± {share:.2g} %"


class Looked(FrozenModel):
    """First look at a layer, and the estimated seconds of solving it and counting its error on all rows."""

    record: LayerEstimate
    seconds: float


class LayerInfo(FrozenModel):
    """A linear layer that can be pruned: c rows out, b columns in."""

    name: str
    block: int
    module: str
    rows: int
    columns: int


class Held(FrozenModel):
    """Extent of a session: the `whole` model, or single layers when they are asked about. Then the Gram matrices of all blocks take
    `gram_bytes` on disk, and about so many seconds to collect."""

    whole: bool
    blocks: int
    gram_bytes: int
    seconds: float


class PreviewCost(FrozenModel):
    """Estimated seconds of a preview, and bytes of the pruned weights that it holds in memory."""

    seconds: float
    held_bytes: int


class Preview(FrozenModel):
    """An estimate of a run, from the Gram matrices of the dense model. Perplexities are of the first windows only.

    The optimum of a layer is computed as in a run, to three digits; with `rows`, errors and optimum are estimates.
    """

    spec: RunSpec
    layers: tuple[LayerRecord, ...]
    dense: Evaluated
    pruned: Evaluated
    calibration: str
    counted_sparsity: float
    seconds: float
    rows: int | None = None  # of each layer that the method itself has pruned, where the errors are estimated from those; None: all

    @property
    def ratio(self) -> float:
        """Pruned over dense perplexity, both on the preview's windows."""
        return self.pruned.perplexity / self.dense.perplexity

    @property
    def median_gap(self) -> float | None:
        return median_gap(self.layers)

    @property
    def worst(self) -> LayerRecord:
        return max(self.layers, key=lambda layer: layer.relative_error)
