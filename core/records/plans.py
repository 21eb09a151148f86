"""Plan of a run: its layers, counts and estimates. No torch."""

from __future__ import annotations

from core.spec.base import FrozenModel


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
        """Expected `counted_sparsity`: pruned entries of the planned layers over all their entries."""
        return self.pruned / max(1, self.prunable)


class SeenRate(FrozenModel):
    """The best rate of a device, in multiply-adds a second, and when it was seen (seconds since 1970)."""

    rate: float
    when: float
