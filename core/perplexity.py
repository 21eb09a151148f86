"""Perplexity of a model run block by block: exp of the mean next-token loss over consecutive windows (METHODS.md §12)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from core.calibration import Windows
from core.records import Evaluated


def next_token_loss(logits: Tensor, tokens: Tensor) -> Tensor:
    """Summed −log p of each window's tokens 2 … L: logits [n, L, vocabulary], tokens int64 [n, L]; a float64 scalar."""
    predicted = logits[:, :-1].flatten(0, 1).float()
    return cross_entropy(predicted, tokens[:, 1:].flatten().to(logits.device), reduction="none").sum(dtype=torch.float64)


def evaluated(loss: float, windows: Windows, dtype: torch.dtype) -> Evaluated:
    """The record of a summed loss over all windows."""
    count, length = windows.tokens.shape
    tokens = count * (length - 1)
    mean = loss / tokens
    return Evaluated(perplexity=math.exp(mean) if mean < 700 else math.inf, tokens=tokens, windows=count, length=length,
                     text=windows.description, text_sha256=windows.sha256, dtype=str(dtype).removeprefix("torch."))
