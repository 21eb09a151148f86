"""Perplexity of a model as it is, block by block, and what every pass over blocks measures with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.data.windows import Windows, evaluation_windows
from core.evaluate.perplexity import evaluated, token_losses
from core.linalg.finite import count_not_finite, finite, remedy_for_overflow
from core.models.blocks import map_blocks
from core.models.device import choose_device, choose_dtype
from core.models.inputs import take_inputs
from core.models.loading import load_model
from core.models.open_model import batches
from core.models.sources import resolve_model
from core.models.streaming import Stream
from core.models.text_reader import text_reader
from core.records import Evaluated
from core.spec import RunSpec
from core.spec.errors import NotFinite


def evaluate(spec: RunSpec) -> Evaluated:
    """The unpruned model's perplexity: the model, evaluation, device and dtype of the spec; the rest is ignored."""
    device = choose_device(spec.device)
    inputs = take_inputs(spec, ("model", "evaluation"))
    source = resolve_model(spec.model, spec.revision, download=True)
    model: Any = load_model(source, dtype=choose_dtype(spec, source, device))
    windows = evaluation_windows(spec.evaluation, text_reader(source, model))
    inputs.check_read(source)
    losses = model_losses(model, windows, device, name="the dense model")
    inputs.check()
    return evaluated(losses, windows, next(model.parameters()).dtype, model="the dense model")


def model_losses(model: Any, windows: Windows, device: torch.device, *, name: str) -> list[Tensor]:
    """Of every batch of windows: each token's loss [n, L − 1], in nats, of a loaded model. Raises NotFinite that names model and block."""
    losses: list[Tensor] = []
    with Stream(model, map_blocks(model), device, windows.tokens[:1]) as stream:
        for batch in batches(windows.tokens):
            hidden = stream.embed(batch)
            for block in range(stream.blocks):
                hidden = stream.forward(block, hidden)
                require_finite(hidden, f"Block {block + 1} of {stream.blocks} of {name}")
            losses.append(token_losses(stream.logits(hidden), batch))
    return losses


def losses_of(stream: Stream, hidden: Tensor, tokens: Tensor) -> list[Tensor]:
    """Of every batch of windows: each token's loss [n, L − 1], in nats, from the last block's output [n, L, d]."""
    return [token_losses(stream.logits(part), target) for part, target in zip(batches(hidden), batches(tokens), strict=True)]


def require_finite(hidden: Tensor, place: str) -> None:
    """Raises NotFinite that names the place where activations are infinite or no numbers."""
    if not finite(hidden):
        raise NotFinite(place, count_not_finite(hidden, "its output"), remedy_for_overflow(hidden.dtype))
