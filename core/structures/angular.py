"""Angular distance arccos(cos(x_ℓ, x_{ℓ+n}))/π of the hidden states before and behind n consecutive blocks (Gromov et al. 2024, Eq. 7).

The paper takes the last token of each text; the mean over all tokens is taken here, as for block influence.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from core.models.activations import ActivationRoom
from core.models.open_model import batches, embed
from core.models.streaming import Stream


def score(stream: Stream, tokens: Tensor, left: Sequence[int], count: int, room: ActivationRoom) -> Generator[int, None, dict[int, float]]:
    """By the first of each `count` consecutive blocks of `left`: the distance over them. One forward pass of tokens [n, L]; memory: `count`
    + 1 times their hidden states."""
    states = deque([embed(stream, tokens, room)])
    found = dict[int, float]()
    for place, block in enumerate(left):
        yield block
        after = states.popleft() if len(states) > count else room.empty(states[-1].shape, states[-1].dtype)
        with stream.on_device(block):
            for part, target in zip(batches(states[-1]), batches(after), strict=True):
                target.copy_(stream.forward(block, part))
        states.append(after)
        if place + 1 >= count:
            found[left[place + 1 - count]] = distance(states[-count - 1], after, stream.device)
    return found


def distance(before: Tensor, after: Tensor, device: torch.device) -> float:
    """Mean angular distance of hidden states [n, L, d], from 0 to 1."""
    total = torch.zeros((), dtype=torch.float64, device=device)
    for one, other in zip(batches(before), batches(after), strict=True):
        cos = cosine_similarity(one.to(device).double(), other.to(device).double(), dim=-1)
        total += (cos.clamp(-1, 1).arccos() / math.pi).sum()
    return float(total) / before[..., 0].numel()
