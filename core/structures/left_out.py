"""Perplexity of the calibration text with each block left out (Kim et al. 2024, Shortened LLaMA).

Activations before a block are shared by all that leave out a later one, so that L blocks take about L/2 forward passes, not L.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from core.evaluate.perplexity import token_losses
from core.models.activations import ActivationRoom
from core.models.open_model import batches, embed
from core.models.streaming import Stream


def score(stream: Stream, tokens: Tensor, left: Sequence[int], count: int, room: ActivationRoom) -> Generator[int, None, dict[int, float]]:
    """Perplexity of tokens [n, L] by the block of `left` that is left out. Memory: their hidden states, once a block."""
    dense, without = embed(stream, tokens, room), dict[int, Tensor]()
    for block in left:
        yield block
        own = room.copy(dense)
        with stream.on_device(block):
            for hidden in (dense, *without.values()):
                for part in batches(hidden):
                    part.copy_(stream.forward(block, part))
        without[block] = own
    return {block: _perplexity(stream, hidden, tokens) for block, hidden in without.items()}


def _perplexity(stream: Stream, hidden: Tensor, tokens: Tensor) -> float:
    parts = [token_losses(stream.logits(part), target).double() for part, target in zip(batches(hidden), batches(tokens), strict=True)]
    return math.exp(min(700.0, float(torch.cat([part.flatten() for part in parts]).mean())))
