"""Gram matrices of experts: how many bytes a run holds of them at a time, and the tokens that each reads."""

from __future__ import annotations

from typing import Any

from torch import nn

from core.models.blocks import BlockMap, Linear

GRAM_BYTES = 4 << 30  # of Gram matrices of experts at a time; where all of a block's are more, the block runs again for the next part


def expert_grams(block_map: BlockMap) -> int:
    """Bytes of the Gram matrices of experts that a run holds at a time: E·b² numbers of a block, or the part that is collected at once."""
    blocks = [[4 * linear.columns**2 for linear in linears if linear.expert is not None] for linears in block_map.linears]
    return max((min(sum(sizes), max(GRAM_BYTES, *sizes)) for sizes in blocks if sizes), default=0)


def expert_share(block: nn.Module, linear: Linear) -> float:
    """The share of the tokens that an expert of a block reads on the average: its router's top_k of E."""
    experts = int(getattr(linear.layer, linear.parameter).shape[0])
    named: list[Any] = [getattr(module, "top_k", None) for module in block.modules()]
    top = [value for value in named if isinstance(value, int)]
    return min(1.0, max(top, default=1) / experts)
