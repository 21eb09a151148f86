"""Block influence: 1 − E cos(x, y) of a block's input x and output y, over all tokens (Men et al. 2024, ShortGPT, Eq. 1)."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from core.models.activations import ActivationRoom
from core.models.open_model import batches, embed
from core.models.streaming import Stream


def score(stream: Stream, tokens: Tensor, left: Sequence[int], count: int, room: ActivationRoom) -> Generator[int, None, dict[int, float]]:
    """Influence of each block of `left`, the model having no others. One forward pass of tokens [n, L]; memory: their hidden states."""
    hidden, found = embed(stream, tokens, room), dict[int, float]()
    for block in left:
        yield block
        total = torch.zeros((), dtype=torch.float64, device=stream.device)
        with stream.on_device(block):
            for part in batches(hidden):
                after = stream.forward(block, part)
                total += cosine_similarity(part.to(stream.device).float(), after.float(), dim=-1).sum(dtype=torch.float64)
                part.copy_(after)
        found[block] = 1 - float(total) / tokens.numel()
    return found
