"""Records of a model's size and of its measured speed. No torch."""

from __future__ import annotations

import statistics
from typing import Literal

from core.spec.base import FrozenModel

Kind = Literal["dense", "pruned", "packed"]  # packed: the pruned weights as PyTorch's semi-structured (2:4) tensors
Stage = Literal["prefill", "decode"]
STAGES: tuple[Stage, ...] = ("prefill", "decode")
CONFIDENCE = 0.95
WHY_NO_FASTER = ("PyTorch multiplies zeros like any other number, so the pruned model does the same work on the same bytes. The only zeros "
                 "that GPUs have kernels for are 2:4, and programs drop these too: vLLM removed its own in 2026.")
_PACKED_GROUP, _INDEX_BITS = 4, 2


class LayerCount(FrozenModel):
    """Counts of one linear layer's weights."""

    weights: int
    zeros: int
    fits_two_four: bool  # at most 2 of every 4 consecutive inputs of each row are not zero
    zero_rows: int = 0
    zero_columns: int = 0
    removed: int = 0  # weights of the dense layer that are not there any more: its shape is smaller

    def bitmask_bytes(self, element: int) -> int:
        """One bit a weight and the values that are not zero."""
        return -(-self.weights // 8) + (self.weights - self.zeros) * element

    def packed_bytes(self, element: int) -> int:
        """2:4: two values and two indices of 2 bits for every 4 weights; the dense bytes where it does not fit."""
        if not self.fits_two_four:
            return self.weights * element
        groups = self.weights // _PACKED_GROUP
        return 2 * groups * element + -(-2 * groups * _INDEX_BITS // 8)


class Sizes(FrozenModel):
    """Bytes of a whole model, stored in different ways; everything but the pruned layers is dense in each."""

    dtype: str  # of the stored weights
    element_bytes: int
    parameters: int  # of the dense model; tied weights once
    layers: tuple[LayerCount, ...]
    folder_bytes: int  # of all tensors of a plain safetensors folder, as exported here
    removed_beside: int = 0  # parameters outside linear layers that are gone, such as the norms of a block

    @property
    def weights(self) -> int:
        return sum(layer.weights for layer in self.layers)

    @property
    def zeros(self) -> int:
        return sum(layer.zeros for layer in self.layers)

    @property
    def removed(self) -> int:
        """Parameters that are really gone: layers of smaller shape, and what went with them."""
        return sum(layer.removed for layer in self.layers) + self.removed_beside

    @property
    def bitmask_bytes(self) -> int:
        return self._rest + sum(layer.bitmask_bytes(self.element_bytes) for layer in self.layers)

    @property
    def packed_bytes(self) -> int:
        return self._rest + sum(layer.packed_bytes(self.element_bytes) for layer in self.layers)

    @property
    def packed_layers(self) -> int:
        return sum(layer.fits_two_four for layer in self.layers)

    @property
    def _rest(self) -> int:
        return self.folder_bytes - self.weights * self.element_bytes


class SpeedPoint(FrozenModel):
    """Seconds of repeats at one batch size, by model; repeat k of each model was measured in round k, one after the other."""

    batch: int
    prefill: dict[Kind, tuple[float, ...]]
    decode: dict[Kind, tuple[float, ...]]

    def seconds(self, stage: Stage, kind: Kind) -> tuple[float, ...]:
        return (self.prefill if stage == "prefill" else self.decode)[kind]


class Interval(FrozenModel):
    """Median of some repeats, and the order statistics around it: they hold the true median with CONFIDENCE where there are 6 or more."""

    median: float
    low: float
    high: float


class Speed(FrozenModel):
    """Throughput of models measured in turn in one process. `no_packed`: why 2:4 tensors were not measured, "" where they were."""

    device: str
    dtype: str
    torch: str
    prompt: int  # tokens of each sequence's prompt
    tokens: int  # tokens generated for each sequence
    points: tuple[SpeedPoint, ...]
    no_packed: str = ""

    def rate(self, point: SpeedPoint, stage: Stage, kind: Kind) -> Interval:
        """Tokens a second, of all sequences of the batch together."""
        count = point.batch * (self.prompt if stage == "prefill" else self.tokens)
        return interval([count / seconds for seconds in point.seconds(stage, kind)])

    def ratio(self, point: SpeedPoint, stage: Stage, kind: Kind = "pruned") -> Interval | None:
        """Speed over the dense model's, round by round; None where there is no such model."""
        mine, dense = (point.prefill if stage == "prefill" else point.decode).get(kind), point.seconds(stage, "dense")
        return None if mine is None else interval([before / after for before, after in zip(dense, mine, strict=True)])


    @property
    def ratios(self) -> tuple[Interval, ...]:
        """Ratios of the pruned model at every batch size and stage; none where the dense model alone was measured."""
        found = (self.ratio(point, stage) for point in self.points for stage in STAGES)
        return tuple(ratio for ratio in found if ratio is not None)


def interval(values: list[float]) -> Interval:
    """Median, and the narrowest order statistics that hold the true one with CONFIDENCE; the extremes where there are too few values."""
    ordered, count = sorted(values), len(values)
    outside, term, cut = 0.0, 0.5**count, 0
    while cut < (count - 1) // 2 and 2 * (outside + term) <= 1 - CONFIDENCE:
        outside += term
        cut += 1
        term *= (count - cut + 1) / cut
    cut = max(0, cut - 1)
    return Interval(median=statistics.median(ordered), low=ordered[cut], high=ordered[count - 1 - cut])
