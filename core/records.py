"""What a run says while it goes on and when it ends: small frozen records, JSON both ways. No torch."""

from __future__ import annotations

import statistics
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from core.noun import Noun
from core.spec import RunSpec


class PlannedLayer(Noun):
    """A linear layer that a run would prune. `pruned` is the number of entries that will go."""

    name: str
    block: int
    module: str
    rows: int
    columns: int
    pruned: int
    dense_rows: int
    dense_columns: int = 0  # a last group shorter than m, left dense

    @property
    def parameters(self) -> int:
        return self.rows * self.columns


class Plan(Noun):
    """What a run will do, before it starts. Seconds and bytes are estimates for the device named."""

    layers: tuple[PlannedLayer, ...]
    parameters: int  # of the whole model, tied weights counted once
    blocks: int
    context: int
    family: str
    device: str
    calibration: str
    evaluation: str
    seconds: float
    memory_bytes: int
    disk_bytes: int
    note: str | None = None  # what cannot be known before the run
    matrix_rate: float | None = None  # multiply-adds a second of that device, by which the seconds were estimated

    def at_rate(self, rate: float) -> Plan:
        """The same where the device has been seen to do more: whoever estimated may not have had it alone."""
        if self.matrix_rate is None or rate <= self.matrix_rate:
            return self
        return self.model_copy(update={"seconds": self.seconds * self.matrix_rate / rate, "matrix_rate": rate})

    @property
    def prunable(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def pruned(self) -> int:
        return sum(layer.pruned for layer in self.layers)

    @property
    def sparsity(self) -> float:
        """What `counted_sparsity` will be: pruned entries of the planned layers over all their entries."""
        return self.pruned / max(1, self.prunable)


class SeenRate(Noun):
    """The best rate of a device, in multiply-adds a second, and when it was seen (seconds since 1970)."""

    rate: float
    when: float


class LayerRecord(Noun):
    """One pruned layer. Errors are relative: tr(ΔGΔᵀ)/tr(WGWᵀ); `optimum_error` is the least possible for this mask."""

    name: str
    block: int
    module: str
    shape: tuple[int, int]
    counted_sparsity: float
    relative_error: float
    optimum_error: float
    seconds: float
    damping: float | None = None  # the λ really used; None where the method has none
    dense_rows: int = 0
    dense_columns: int = 0
    tokens: int = 0

    @property
    def parameters(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def gap(self) -> float:
        """f/f* − 1: what the method left on the table for its own mask. 0 when both are 0, infinite when only f* is."""
        if self.optimum_error > 0:
            return max(0.0, self.relative_error / self.optimum_error - 1)
        return 0.0 if self.relative_error <= 0 else float("inf")


class Evaluated(Noun):
    """A perplexity with its protocol: consecutive windows of `length` tokens, tail dropped, exp of the mean next-token loss."""

    perplexity: float
    tokens: int  # predicted tokens: windows · (length − 1)
    windows: int
    length: int
    text: str  # which text, in words
    text_sha256: str
    dtype: str

    @property
    def protocol(self) -> str:
        return f"{self.text}, {self.windows} window{'' if self.windows == 1 else 's'} of {self.length} tokens, no overlap, {self.dtype}"


class Environment(Noun):
    """Where the numbers were computed."""

    python: str
    torch: str
    transformers: str
    device: str
    threads: int
    started: float  # seconds since 1970, UTC


class Revisions(Noun):
    """The exact inputs behind the names of a spec; with the spec they make a run's key."""

    model: str
    calibration: str
    evaluation: str
    method: int
    core: int


class RunResult(Noun):
    """A finished run."""

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

    @property
    def median_gap(self) -> float:
        return statistics.median(layer.gap for layer in self.layers)

    @property
    def worst(self) -> LayerRecord:
        return max(self.layers, key=lambda layer: layer.relative_error)


DescentName = Literal["admm", "adam", "sgd", "cg"]
DESCENTS: dict[DescentName, str] = {"admm": "ADMM", "adam": "Adam", "sgd": "SGD", "cg": "Conjugate gradients"}


class Trace(Noun):
    """One descent for a mask that is given. Entry k is after k iterations: relative error, and seconds so far without counting errors."""

    name: DescentName
    errors: tuple[float, ...]
    seconds: tuple[float, ...]

    def iterations_to(self, error: float) -> int | None:
        """After how many iterations its error is at most this for the first time; None if never."""
        return next((k for k, reached in enumerate(self.errors) if reached <= error), None)


class Convergence(Noun):
    """How several descents near the least error of one mask; all begin at the weights with the mask removed."""

    traces: tuple[Trace, ...]
    sweep: float  # the relative error of SparseGPT's sweep on this mask, and its seconds with its factorisation
    sweep_seconds: float
    optimum: float
    iterations: int


class Started(Noun):
    """The model is loaded and its layers are found."""

    kind: Literal["started"] = "started"
    blocks: int
    layers: int
    resumed_blocks: int = 0


class Progress(Noun):
    """Where the run is. `fraction` is of the estimated work, 0 to 1."""

    kind: Literal["progress"] = "progress"
    stage: Literal["load", "calibrate", "collect", "solve", "push", "evaluate"]
    block: int
    blocks: int
    layer: str | None = None
    fraction: float
    seconds: float  # since the start
    seconds_left: float | None = None


class LayerPruned(Noun):
    """A layer is done."""

    kind: Literal["layer"] = "layer"
    layer: LayerRecord
    done: int
    layers: int


class BlockFinished(Noun):
    """A block is done and, where the caller keeps a journal, written down."""

    kind: Literal["block"] = "block"
    block: int
    blocks: int


class Finished(Noun):
    """The last event."""

    kind: Literal["finished"] = "finished"
    result: RunResult


Event = Annotated[Started | Progress | LayerPruned | BlockFinished | Finished, Field(discriminator="kind")]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
