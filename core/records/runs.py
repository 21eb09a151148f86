"""Records of a finished run and of its layers. No torch."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from core.records.plans import Placement
from core.records.revisions import Revisions
from core.records.shapes import RemovedShape
from core.records.size_speed import Sizes, Speed
from core.records.tasks import TaskScores
from core.spec import RunSpec
from core.spec.base import FrozenModel


class LayerRecord(FrozenModel):
    """One pruned layer. Errors are relative: tr(ΔGΔᵀ)/tr(WGWᵀ); `optimum_error` is the least possible for this mask, of a large layer
    estimated from `optimum_rows` of its rows with the standard error `optimum_spread`; None: not computed."""

    name: str
    block: int
    module: str
    shape: tuple[int, int]
    counted_sparsity: float
    relative_error: float
    optimum_error: float | None = None
    seconds: float
    damping: float | None = None  # the λ really used; None where the method has none
    dense_rows: int = 0
    dense_columns: int = 0
    refitted_rows: int = 0  # whose update had diverged: they have the least-squares weights of their mask
    tokens: int = 0
    optimum_rows: int | None = None  # None: of all rows
    optimum_spread: float | None = None

    @property
    def parameters(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def optimum_words(self) -> str:
        """`estimate from 384 of 4,096 rows, ± 1.2 %`: one standard error; empty where it is exact, or not there."""
        if self.optimum_rows is None or self.optimum_error is None:
            return ""
        share = 100 * (self.optimum_spread or 0.0) / self.optimum_error if self.optimum_error > 0 else 0.0
        return f"estimate from {self.optimum_rows:,} of {self.shape[0]:,} rows, ± {share:.2g} %"

    @property
    def gap(self) -> float | None:
        """f/f* − 1: what the method left on the table for its own mask. 0 when both are 0, infinite when only f* is; None without f*."""
        if self.optimum_error is None or self.optimum_error > 0:
            return None if self.optimum_error is None else max(0.0, self.relative_error / self.optimum_error - 1)
        return 0.0 if self.relative_error <= 0 else float("inf")


def median_gap(layers: Iterable[LayerRecord]) -> float | None:
    """The median of the layers whose optimum is known; None where none is."""
    return statistics.median(gaps) if (gaps := [layer.gap for layer in layers if layer.gap is not None]) else None


class BlockReconstruction(FrozenModel):
    """Outcome of training a block's kept weights (core/run/reconstruction.py). Errors are of the block's output, on windows that were
    not trained on: ‖ŷ − y‖²/‖y‖²."""

    block: int
    passes: int  # over the windows trained on
    kept: int  # the pass whose weights were kept; 0: those of the solve
    windows: int  # trained on
    held_out: int
    before: float
    after: float
    seconds: float


class Evaluated(FrozenModel):
    """A perplexity with its protocol: consecutive windows of `length` tokens, tail dropped, exp of the mean next-token loss.

    `losses` are the windows' own means, for the noise of differences; older records have none.
    """

    perplexity: float
    tokens: int  # predicted tokens: windows · (length − 1)
    windows: int
    length: int
    text: str  # which text, in words
    text_sha256: str
    dtype: str
    losses: tuple[float, ...] | None = None  # nats a token, a window each, in order

    @property
    def protocol(self) -> str:
        return f"{self.text}, {self.windows} window{'' if self.windows == 1 else 's'} of {self.length} tokens, no overlap, {self.dtype}"


class Environment(FrozenModel):
    """Environment in which the numbers were computed."""

    python: str
    torch: str
    transformers: str
    device: str
    threads: int
    started: float  # seconds since 1970, UTC


ONE_TEXT = ("Calibration and evaluation read the same text. Perplexity after pruning looks better than on a text that calibration has "
            "not seen; use another file for one of them.")


class ExportCheck(FrozenModel):
    """An exported model, opened again from its folder and measured on the first evaluation windows of its run."""

    windows: int
    perplexity: float  # of the export, under the run's protocol but on these windows alone
    run_perplexity: float  # of the run on the same windows
    difference: float  # perplexity − run_perplexity
    rounded: bool  # weights were rounded to the checkpoint's dtypes, which is what the difference comes from

    @property
    def words(self) -> str:
        """The comparison as a sentence."""
        share = 100 * self.difference / self.run_perplexity
        told = f"{share:+.2g} %" if abs(share) >= 0.001 else "the same within 0.001 %"
        why = " (weights are rounded to the checkpoint's dtype)" if self.rounded else ""
        windows = f"the first {self.windows} windows" if self.windows > 1 else "the first window"
        return (f"opened again, perplexity {self.perplexity:.2f} on {windows}, the run's own {self.run_perplexity:.2f}: "
                f"{told}{why}")


class TextResult(FrozenModel):
    """Perplexity of a run's dense and pruned model on one of its further texts."""

    dense: Evaluated
    pruned: Evaluated


class RunResult(FrozenModel):
    """A finished run. `dense` and `pruned` are of its first evaluation text."""

    spec: RunSpec
    revisions: Revisions
    dense: Evaluated
    pruned: Evaluated
    counted_sparsity: float
    layers: tuple[LayerRecord, ...]
    calibration: str  # which windows, in words
    seconds: float
    stages: dict[str, float]  # seconds by stage: load, forward, solve, evaluate, ...
    peak_memory_bytes: int
    environment: Environment
    resumed_blocks: int = 0  # blocks taken over from an interrupted run
    tasks: dict[str, TaskScores] | None = None  # zero-shot scores by task, where they were asked for
    size: Sizes | None = None  # counted and measured, where that was asked for
    speed: Speed | None = None
    reconstruction: tuple[BlockReconstruction, ...] = ()  # a block each, where it was asked for; errors of layers are those before it
    notes: tuple[str, ...] = ()  # sentences on what the model's folder holds and the run did not open
    placement: Placement | None = None  # where weights and activations were; older records have none
    export: ExportCheck | None = None  # where the pruned model was written to a folder
    further_evaluations: tuple[TextResult, ...] = ()  # in the order of the spec's
    shape: RemovedShape | None = None  # where tensors became smaller

    @property
    def on_each_text(self) -> tuple[RunResult, ...]:
        """The same run as measured on each of its evaluation texts alone, the first one first."""
        measured = (TextResult(dense=self.dense, pruned=self.pruned), *self.further_evaluations)
        return tuple(self.model_copy(update={"spec": spec, "revisions": found, "dense": text.dense, "pruned": text.pruned,
                                             "further_evaluations": ()})
                     for spec, found, text in zip(self.spec.on_each_text, self.revisions.on_each_text, measured, strict=False))

    @property
    def layers_changed(self) -> int:
        """Number of layers whose weights the run has computed."""
        return 0 if self.shape is not None and self.shape.unit == "blocks" else len(self.layers)

    @property
    def one_text(self) -> bool:
        """True if calibration and evaluation read the same text, by content."""
        return self.revisions.calibration == self.revisions.evaluation

    @property
    def reconstruction_words(self) -> str:
        """Outcome of block reconstruction in a sentence; empty where none was asked for."""
        blocks = self.reconstruction
        if not blocks:
            return ""
        left = statistics.median(block.after / block.before if block.before > 0 else 1.0 for block in blocks)
        passes, seen, watched = blocks[0].passes, blocks[0].windows, blocks[0].held_out
        return (f"{passes} pass{'' if passes == 1 else 'es'} over {seen} windows; on {watched} more, {100 * left:.1f} % of the "
                f"error of a block's output was left (median); trained weights were kept in {sum(block.kept > 0 for block in blocks)} of "
                f"{len(blocks)} blocks; layer errors are those before it")

    @property
    def median_gap(self) -> float | None:
        return median_gap(self.layers)

    @property
    def worst(self) -> LayerRecord:
        return max(self.layers, key=lambda layer: layer.relative_error)
