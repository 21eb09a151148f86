"""Records of what-if sessions. No torch."""

from __future__ import annotations

from core.records.runs import Evaluated, LayerRecord, median_gap
from core.spec import RunSpec, SparseGPT
from core.spec.base import FrozenModel

ROWS = 4  # of each layer that a slow method prunes at once
BASE = SparseGPT()  # prunes these and all others (core/whatif/row_sampling.py)


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
