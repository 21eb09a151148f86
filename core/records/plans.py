"""Plan of a run: its layers, counts and estimates. No torch."""

from __future__ import annotations

from typing import Literal

from core.spec.base import FrozenModel

Weights = Literal["memory", "blocks"]
Activations = Literal["device", "host", "disk"]


class Placement(FrozenModel):
    """Places of a run's data, in bytes of each. `weights`: in memory as a whole, or read from the files one block at a time. `activations`:
    the hidden states of all calibration and evaluation windows, on the GPU, in memory, or in a file."""

    weights: Weights
    activations: Activations
    model_bytes: int
    block_bytes: int  # of the largest block
    frame_bytes: int  # of what is outside the blocks: embeddings, final norm, head
    activation_bytes: int
    working_bytes: int  # Gram matrices, one solve, one batch
    memory_bytes: int  # the estimated peak: of the GPU where there is one, else of the process
    limit_bytes: int | None = None  # of memory, by which was decided; None: it was asked for
    note: str | None = None  # the reason where it is not what was asked for
    runs: int = 1  # that share one reading of the model, each with activations of its own

    @property
    def words(self) -> str:
        """Both places, for a person."""
        where = {"device": "on the GPU", "host": "in memory", "disk": "in a file on disk"}[self.activations]
        how = "whole, in memory" if self.weights == "memory" else "read from their files one block at a time"
        return f"weights {how}; activations {where}"


class PlannedLayer(FrozenModel):
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


class PlannedShape(FrozenModel):
    """Structures that a run would take out of the model."""

    unit: Literal["blocks", "neurons", "heads"]
    count: int  # of the model's blocks, or of each block's neurons or heads
    parameters: int  # that go; estimated where it depends on the choice

    def words(self, of: int) -> str:
        """`2 of 6 blocks go`."""
        return f"{self.count} of {of} blocks go" if self.unit == "blocks" else f"{self.count:,} {self.unit} of each of {of} blocks go"



class Plan(FrozenModel):
    """Plan of a run, before it starts. Seconds and bytes are estimates for the device named."""

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
    model_bytes: int = 0  # of the memory: the weights as they are loaded
    window_bytes: int = 0  # of the memory: each calibration window
    note: str | None = None  # what cannot be known before the run
    placement: Placement | None = None  # older plans have none
    shape: PlannedShape | None = None  # where tensors become smaller
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
        """Expected `counted_sparsity`: pruned entries of the planned layers, or those of whole blocks, over all their entries."""
        if self.shape is not None and self.shape.unit == "blocks":
            return self.shape.count / self.blocks
        return self.pruned / max(1, self.prunable)

    @property
    def removed(self) -> int:
        """Parameters that are not there any more."""
        return self.shape.parameters if self.shape else 0

    @property
    def left(self) -> int:
        """Parameters of the model that is left, zeros among them."""
        return self.parameters - self.removed


class SeenRate(FrozenModel):
    """The best rate of a device, in multiply-adds a second, and when it was seen (seconds since 1970)."""

    rate: float
    when: float
