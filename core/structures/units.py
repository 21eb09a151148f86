"""Taylor score of neurons and heads: |Σ w·∂ℓ/∂w| over all weights of a unit (Ma et al. 2023, LLM-Pruner, Eq. 5, first order).

To first order it is what the loss changes by when the unit goes: scaled by s, all of it at once, the loss has the slope Σ w·∂ℓ/∂w at s = 1.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator, Mapping

import torch
from torch import Tensor

from core.models.activations import ActivationRoom
from core.models.blocks import Linear
from core.models.neurons import BlockUnits, Units
from core.models.streaming import Stream
from core.structures.gradients import block_gradients


def unit_scores(stream: Stream, tokens: Tensor, units: Units, room: ActivationRoom) -> Generator[int, None, dict[int, Tensor]]:
    """Scores [units] of every block, float64; ℓ is the mean next-token loss of tokens [n, L]. Yields each block, the last first.

    One pass forward, again in each block, and one back. Raises BadInput where a gradient is not finite.
    """
    found: dict[int, Tensor] = {}
    for block, gradients in block_gradients(stream, tokens, list(range(len(units.blocks))), room):
        slopes = {id(parameter): gradient for parameter, gradient in gradients}
        found[block] = group_slopes(units.blocks[block], units.size, slopes).abs()
        yield block
    return found


def group_slopes(layers: BlockUnits, size: int, slopes: Mapping[int, Tensor]) -> Tensor:
    """Σ w·∂ℓ/∂w [size] over a unit's rows of the layers that make it, and its columns of the one that reads it."""
    made = [_products(maker, slopes).view(size, -1).sum(1) for maker in layers.makers]
    read = _products(layers.reader, slopes).sum(0).view(size, -1).sum(1)
    return torch.stack([*made, read]).sum(0).cpu()


def _products(linear: Linear, slopes: Mapping[int, Tensor]) -> Tensor:
    """w·∂ℓ/∂w [out, in] of a layer, float64."""
    parameter: Tensor = getattr(linear.layer, linear.parameter)
    found = parameter.detach().double() * slopes[id(parameter)].double()
    return (found.t() if linear.transposed else found).contiguous()
