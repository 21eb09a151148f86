"""Gradients ∂ℓ/∂W of the next-token loss by the weights of linear layers, block by block from the last to the first.

ℓ is the mean over the tokens that are predicted. One pass forward, again in each block, and one back; memory: the hidden states before
every block, and one block's gradients.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from core.models.activations import ActivationRoom
from core.models.blocks import Linear
from core.models.open_model import batches, embed
from core.models.streaming import Stream
from core.spec.errors import BadInput

grad: Callable[..., tuple[Tensor | None, ...]] = torch.autograd.grad  # None: unused, as an expert's weights may be


def block_gradients(stream: Stream, tokens: Tensor, left: Sequence[int],
                    room: ActivationRoom) -> Generator[tuple[int, list[tuple[nn.Parameter, Tensor]]]]:
    """For each block of `left`, the last first: the stored parameters of its linear layers, each with its gradient, float32. The model
    has no other blocks. Raises BadInput where a gradient is not finite."""
    with torch.no_grad():
        before = [embed(stream, tokens, room)]
        for block in left:
            with stream.on_device(block):
                before.append(room.empty(before[-1].shape, before[-1].dtype))
                for part, target in zip(batches(before[-2]), batches(before[-1]), strict=True):
                    target.copy_(stream.forward(block, part))
    predicted = tokens.shape[0] * (tokens.shape[1] - 1)
    last = before.pop()
    slopes = [_end(stream, part, target, predicted) for part, target in zip(batches(last), batches(tokens), strict=True)]
    for block in reversed(left):
        hidden = before.pop()
        with stream.on_device(block):
            parameters = _parameters(stream.block_map.linears[block])
            sums = [torch.zeros_like(parameter, dtype=torch.float32) for parameter in parameters]
            for place, part in enumerate(batches(hidden)):
                slopes[place], found = _through(stream, block, part, slopes[place], parameters)
                sums = [total + gradient for total, gradient in zip(sums, found, strict=True)]
            if not all(bool(total.isfinite().all()) for total in sums):
                raise BadInput(f"block {block}", "a gradient that is NaN or infinite", "finite gradients of the loss",
                               "Run the model in float32 or bfloat16, or choose another method.")
            yield block, list(zip(parameters, sums, strict=True))


def _parameters(linears: Sequence[Linear]) -> list[nn.Parameter]:
    """The stored parameters of layers, a stack of experts once."""
    found: dict[int, nn.Parameter] = {}
    for linear in linears:
        parameter: nn.Parameter = getattr(linear.layer, linear.parameter)
        found[id(parameter)] = parameter
    return list(found.values())


def _end(stream: Stream, hidden: Tensor, tokens: Tensor, predicted: int) -> Tensor:
    """∂ℓ/∂(the last block's output) [n, L, d]."""
    with torch.enable_grad():
        hidden = hidden.detach().to(stream.device).requires_grad_()
        logits = stream.logits_with_grad(hidden)
        loss = cross_entropy(logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten().to(logits.device), reduction="sum") / predicted
        return torch.autograd.grad(loss, hidden)[0]


def _through(stream: Stream, block: int, hidden: Tensor, slope: Tensor, parameters: Sequence[nn.Parameter]) -> tuple[Tensor, list[Tensor]]:
    """∂ℓ/∂(the block's input), and by its parameters, from ∂ℓ/∂(its output)."""
    hidden = hidden.detach().to(stream.device).requires_grad_()
    try:
        for parameter in parameters:
            parameter.requires_grad_()
        with torch.enable_grad():
            output = stream.forward_with_grad(block, hidden)
            first, *others = grad(output, [hidden, *parameters], slope, allow_unused=True)
    finally:
        for parameter in parameters:
            parameter.requires_grad_(False)
    assert first is not None, "a block's output depends on its input"
    return first, [torch.zeros_like(parameter) if found is None else found for parameter, found in zip(parameters, others, strict=True)]
