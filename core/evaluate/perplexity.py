"""Perplexity of a model run block by block: exp of the mean next-token loss over consecutive windows (docs/protocol.md)."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from core.data.windows import Windows
from core.records import Evaluated
from core.spec.errors import NotFinite

_ENTRIES = 2**18  # logits whose loss is taken at once on a CPU: what its cores' caches hold
_ENTRIES_ON_GPU = 2**28
_DIGITS = 7  # decimals of a window's loss that a record keeps: a millionth of the noise


def token_losses(logits: Tensor, tokens: Tensor) -> Tensor:
    """−log p of each window's tokens 2 … L, float32 [n, L−1]: logits [n, L, vocabulary], tokens int64 [n, L].

    Some tokens at a time, so that nothing the size of the logits is made beside them.
    """
    some = max(1, (_ENTRIES_ON_GPU if logits.is_cuda else _ENTRIES) // logits.shape[-1])
    losses: list[Tensor] = []
    for window, text in zip(logits.unbind(), tokens.to(logits.device).unbind(), strict=True):
        for start in range(0, len(text) - 1, some):
            stop = min(start + some, len(text) - 1)
            losses.append(cross_entropy(window[start:stop].float(), text[start + 1 : stop + 1], reduction="none"))
    return torch.cat(losses).view(len(tokens), -1)


def evaluated(parts: Sequence[Tensor], windows: Windows, dtype: torch.dtype, *, model: str = "the model") -> Evaluated:
    """Perplexity from the token losses of all windows, some windows a part: each [n, L−1], in order.

    Raises NotFinite where it is no number; `model` says whose it is.
    """
    count, length = windows.tokens.shape
    tokens = count * (length - 1)
    mean = float(torch.stack([part.flatten().sum(dtype=torch.float64) for part in parts]).sum()) / tokens
    by_window = [float(loss) for loss in torch.cat([part.mean(1, dtype=torch.float64) for part in parts]).cpu()]
    assert len(by_window) == count, f"losses of {len(by_window)} windows for {count}"
    _refuse_no_number(mean, by_window, model)
    return Evaluated(perplexity=math.exp(mean), tokens=tokens, windows=count, length=length, text=windows.description,
                     text_sha256=windows.sha256, dtype=str(dtype).removeprefix("torch."),
                     losses=tuple(round(loss, _DIGITS) for loss in by_window))


def _refuse_no_number(mean: float, by_window: Sequence[float], model: str) -> None:
    bad = [index for index, loss in enumerate(by_window) if not math.isfinite(loss)]
    if bad:
        raise NotFinite(f"Perplexity of {model}", f"the loss is no number in {len(bad)} of {len(by_window)} windows, first in window "
                        f"{bad[0] + 1}", "The final norm or the head gives NaN or infinity: choose float32, or look at their weights.")
    if not mean < math.log(sys.float_info.max):
        raise NotFinite(f"Perplexity of {model}", f"a mean loss of {mean:.4g} nats a token, of which the exponential is no number",
                        "The model predicts nothing any more: choose a lower sparsity or another method.")
