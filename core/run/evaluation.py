"""Perplexity of a model as it is, block by block, and what every pass over blocks measures with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from core.data.windows import Windows, evaluation_windows
from core.evaluate.perplexity import evaluated, token_losses
from core.linalg.finite import count_not_finite, finite, remedy_for_overflow
from core.models.activations import ActivationRoom
from core.models.blocks import BlockMap, Linear
from core.models.device import choose_device
from core.models.inputs import evaluation_names, take_inputs
from core.models.loading import load_skeleton
from core.models.open_model import batches, embed, load_placed
from core.models.placement import Streaming
from core.models.sources import resolve_model
from core.models.streaming import Stream
from core.models.text_reader import text_reader
from core.records import Evaluated
from core.spec import RunSpec
from core.spec.errors import NotFinite


def evaluate(spec: RunSpec, *, streaming: Streaming | None = None, limit: int | None = None) -> Evaluated:
    """The unpruned model's perplexity: the model, evaluation, device and dtype of the spec; the rest is ignored. `streaming` and `limit`,
    bytes of memory, decide what is held in memory, not the number."""
    return evaluate_texts(spec.on_each_text[0], streaming=streaming, limit=limit)[0]


def evaluate_texts(spec: RunSpec, *, streaming: Streaming | None = None, limit: int | None = None) -> tuple[Evaluated, ...]:
    """The same on each of the spec's evaluation texts, the first one first; the model is loaded once."""
    device = choose_device(spec.device)
    inputs = take_inputs(spec, ("model", *evaluation_names(spec)))
    source = resolve_model(spec.model, spec.revision, download=True)
    skeleton = load_skeleton(source)
    reader = text_reader(source, skeleton)
    texts = [evaluation_windows(text, reader) for text in (spec.evaluation, *spec.further_evaluations)]
    first, *further = (windows.tokens for windows in texts)
    model, block_map, placement = load_placed(spec, source, skeleton, device, calibration=first[:0], evaluation=first, further=further,
                                              asked=streaming, limit=limit)
    inputs.check_read(source)
    room = ActivationRoom(place=placement.activations, device=device)
    found = [evaluated(model_losses(model, block_map, windows, device, name="the dense model", room=room), windows, model.dtype,
                       model="the dense model") for windows in texts]
    inputs.check()
    return tuple(found)


def model_losses(model: Any, block_map: BlockMap, windows: Windows, device: torch.device, *, name: str,
                 room: ActivationRoom | None = None, prepare: Callable[[Sequence[Linear]], None] = lambda _: None) -> list[Tensor]:
    """Of every batch of windows: each token's loss [n, L − 1], in nats, of an open model. All windows go through a block before the next
    is read; `prepare` is called with the layers of each, before. Raises NotFinite that names model and block."""
    with Stream(model, block_map, device, windows.tokens[:1]) as stream:
        hidden = embed(stream, windows.tokens, room)
        for block in range(stream.blocks):
            with stream.on_device(block):
                prepare(block_map.linears[block])
                for batch in batches(hidden):
                    batch.copy_(stream.forward(block, batch))
            require_finite(hidden, f"Block {block + 1} of {stream.blocks} of {name}")
        return losses_of(stream, hidden, windows.tokens)


def losses_of(stream: Stream, hidden: Tensor, tokens: Tensor) -> list[Tensor]:
    """Of every batch of windows: each token's loss [n, L − 1], in nats, from the last block's output [n, L, d]."""
    return [token_losses(stream.logits(part), target) for part, target in zip(batches(hidden), batches(tokens), strict=True)]


def require_finite(hidden: Tensor, place: str) -> None:
    """Raises NotFinite that names the place where activations are infinite or no numbers."""
    if not finite(hidden):
        raise NotFinite(place, count_not_finite(hidden, "its output"), remedy_for_overflow(hidden.dtype))
