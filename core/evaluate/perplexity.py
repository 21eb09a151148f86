"""Perplexity of a model run block by block: exp of the mean next-token loss over consecutive windows (docs/protocol.md)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from core.data.windows import Windows
from core.records import Evaluated

_ENTRIES = 2**18  # logits whose loss is taken at once on a CPU: what its cores' caches hold
_ENTRIES_ON_GPU = 2**28


def next_token_loss(logits: Tensor, tokens: Tensor) -> Tensor:
    """Summed −log p of each window's tokens 2 … L: logits [n, L, vocabulary], tokens int64 [n, L]; a float64 scalar.

    Some tokens at a time, so that nothing the size of the logits is made beside them.
    """
    some = max(1, (_ENTRIES_ON_GPU if logits.is_cuda else _ENTRIES) // logits.shape[-1])
    losses: list[Tensor] = []
    for window, text in zip(logits.unbind(), tokens.to(logits.device).unbind(), strict=True):
        for start in range(0, len(text) - 1, some):
            stop = min(start + some, len(text) - 1)
            losses.append(cross_entropy(window[start:stop].float(), text[start + 1 : stop + 1], reduction="none"))
    return torch.cat(losses).sum(dtype=torch.float64)


def evaluated(loss: float, windows: Windows, dtype: torch.dtype) -> Evaluated:
    """The record of a summed loss over all windows."""
    count, length = windows.tokens.shape
    tokens = count * (length - 1)
    mean = loss / tokens
    return Evaluated(perplexity=math.exp(mean) if mean < 700 else math.inf, tokens=tokens, windows=count, length=length,
                     text=windows.description, text_sha256=windows.sha256, dtype=str(dtype).removeprefix("torch."))
