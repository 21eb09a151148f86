"""Order in which a block's Gram matrices are collected: in stages that see the pruned layers before them, in parts that fit into memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from torch import Tensor

from core.models.blocks import Linear
from core.models.expert_grams import GRAM_BYTES
from core.models.forward_trace import Groups
from core.models.grams import InputStatistics, input_statistics
from core.models.streaming import Stream


def collecting_stages(groups: Groups, *, true_sequential: bool) -> list[list[list[int]]]:
    """Stages of a block, each in parts, each of some groups by index.

    A stage's layers are written when all of its parts are solved, so that parts change no number. With `true_sequential` each group
    is a stage, and of experts each of their matrices: experts run side by side and do not see one another.
    """
    plain = [index for index, group in enumerate(groups) if group[0].expert is None]
    experts = [index for index, group in enumerate(groups) if group[0].expert is not None]
    if not true_sequential:
        order = sorted(experts, key=lambda index: groups[index][0].expert or 0)
        return [_parts([*plain, *order], groups)]
    stacks: dict[str, list[int]] = {}
    for index in experts:
        stacks.setdefault(groups[index][0].stack, []).append(index)
    stages = [*([index] for index in plain), *stacks.values()] or [[]]
    return [_parts(stage, groups) for stage in stages]


def _parts(indices: Iterable[int], groups: Groups) -> list[list[int]]:
    """Consecutive groups, those of experts cut where their Gram matrices together would be more than GRAM_BYTES."""
    parts: list[list[int]] = [[]]
    held = 0
    for index in indices:
        linear = groups[index][0]
        size = 0 if linear.expert is None else 4 * linear.columns**2
        if held and held + size > GRAM_BYTES:
            parts.append([])
            held = 0
        parts[-1].append(index)
        held += size
    return parts


def written(linear: Linear, weight: Tensor) -> Tensor:
    """Write a weight [c, b] into the model; returns it as it is there."""
    linear.write(weight)
    return linear.weight


class FirstGrams:
    """Statistics of the first block's inputs, the same for all runs that share a reading of the model; collected once."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, ...], dict[int, InputStatistics]] = {}

    def collect(self, stream: Stream, block: int, hidden: Tensor, groups: Collection[int]) -> dict[int, InputStatistics]:
        """As `input_statistics`, of activations [n, L, d] before the first block while nothing in it is pruned."""
        key = tuple(groups)
        if key not in self._found:
            self._found[key] = input_statistics(stream, block, hidden, groups)
        return dict(self._found[key])

    def clear(self) -> None:
        """Let go of them once the first block is done."""
        self._found.clear()
