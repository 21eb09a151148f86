"""Taylor score of a block: Σ|w·∂ℓ/∂w| over the weights of its linear layers (Ma et al. 2023; of blocks: Kim et al. 2024, Eq. 3)."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from core.models.activations import ActivationRoom
from core.models.streaming import Stream
from core.structures.gradients import block_gradients


def score(stream: Stream, tokens: Tensor, left: Sequence[int], count: int, room: ActivationRoom) -> Generator[int, None, dict[int, float]]:
    """Score of each block of `left`, the model having no others; ℓ is the mean next-token loss of tokens [n, L]."""
    found: dict[int, float] = {}
    for block, gradients in block_gradients(stream, tokens, left, room):
        found[block] = sum(float((parameter.detach().double() * gradient.double()).abs().sum(dtype=torch.float64))
                           for parameter, gradient in gradients)
        yield block
    return dict(sorted(found.items()))
