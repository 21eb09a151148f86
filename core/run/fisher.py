"""Empirical Fisher information of the layers' outputs: the cost of their errors for the loss.

With ℓ the next-token loss and y = Wx a layer's outputs, one backward pass through the dense model gives, summed over tokens,

    F = Σ (∂ℓ/∂y)(∂ℓ/∂y)ᵀ

To second order an error Δ of W costs tr(FΔGΔᵀ) where gradients and inputs are independent (Martens & Grosse 2015, K-FAC; van der Ouderaa
et al. 2023, The LLM Surgeon). Methods that take each row on its own prune with output i weighing (F_ii/mean F_ii)^φ: core/methods/solve.py
gives them W with its rows scaled by the root of that. Those that couple rows (Frontier) take all of F to the power φ, as a matrix:
an error that the other outputs cancel costs little. φ = 0 counts all outputs the same, as is usual. Which φ is best was measured:
docs/methods/fisher.md.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from core.linalg.finite import finite
from core.linalg.products import product
from core.models.blocks import BlockMap
from core.models.cost import COUPLED_OUTPUTS, FISHER_TOKENS
from core.models.open_model import OpenModel, batches, embed
from core.models.streaming import Stream
from core.spec.errors import BadInput

_LEAST = 1e-4  # of the mean: an output that nothing reads still counts
_DAMPING = 0.1  # of the mean, where outputs are coupled: F of so few tokens knows the directions that cost little less well than the others


def fisher(opened: OpenModel, block_map: BlockMap, *, coupled: bool) -> Generator[int, None, dict[str, Tensor]]:
    """Yields each block before its turn, last to first; returns every layer's diag F [c], or where `coupled` F [c, c], float32.

    A layer of more than COUPLED_OUTPUTS outputs has its diagonal alone. A pass forward, again in each block, and one back, that is
    four times a forward of FISHER_TOKENS tokens, and a product of tokens×c×c a layer; memory: their hidden states before every
    block. Raises BadInput where a gradient is not finite.
    """
    tokens = opened.calibration.tokens
    tokens = tokens[: max(1, FISHER_TOKENS // tokens.shape[1])]
    found: dict[str, Tensor] = {}
    with Stream(opened.model, block_map, opened.device, tokens[:1]) as stream:
        with torch.no_grad():
            hidden = [embed(stream, tokens)]
            for block in range(stream.blocks):
                with stream.on_device(block):
                    hidden.append(torch.cat([stream.forward(block, part) for part in batches(hidden[-1])]))
        slope = torch.cat([_end(stream, *pair) for pair in zip(batches(hidden.pop()), batches(tokens), strict=True)])
        for block in reversed(range(stream.blocks)):
            yield block
            sums: dict[str, Tensor] = {}
            before = hidden.pop()
            with stream.on_device(block):
                slope = torch.cat([_through(stream, block, *pair, sums, coupled)
                                   for pair in zip(batches(before), batches(slope), strict=True)])
            for name, total in sums.items():
                if not finite(total):
                    raise BadInput(name, "a gradient that is NaN or infinite", "finite gradients of the loss",
                                   "Run the model in float32 or bfloat16, or leave Fisher weighting out.")
            found |= sums
    return found


def _end(stream: Stream, hidden: Tensor, tokens: Tensor) -> Tensor:
    """∂ℓ/∂(the last block's output) [n, L, d]."""
    with torch.enable_grad():
        hidden = hidden.detach().requires_grad_()
        logits = stream.logits_with_grad(hidden)
        loss = cross_entropy(logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten().to(logits.device), reduction="sum")
        return torch.autograd.grad(loss, hidden)[0]


def _through(stream: Stream, block: int, hidden: Tensor, slope: Tensor, sums: dict[str, Tensor], coupled: bool) -> Tensor:
    """∂ℓ/∂(the block's input) from that of its output; adds each layer's F of these tokens to `sums`."""

    def seen(name: str) -> Callable[[object, object, Tensor], None]:
        def add(part: Tensor) -> None:
            part = part.detach().float().flatten(0, -2)
            energy = product(part.T, part) if coupled and part.shape[1] <= COUPLED_OUTPUTS else part.square().sum(0)
            sums[name] = sums[name] + energy if name in sums else energy

        def watch(module: object, given: object, output: Tensor) -> None:
            output.register_hook(add)

        return watch

    with ExitStack() as stack, torch.enable_grad():
        for linear in stream.block_map.linears[block]:
            stack.callback(linear.layer.register_forward_hook(seen(linear.name)).remove)
        hidden = hidden.detach().requires_grad_()
        return torch.autograd.grad(stream.forward_with_grad(block, hidden), hidden, slope)[0]


def weigh(total: Tensor, strength: float) -> Tensor:
    """From diag F [c]: (F_i/mean F)^φ [c], at least a ten-thousandth of their mean; 1 where no output matters. From F [c, c]: F^φ.

    The latter over its mean diagonal, and a tenth of the identity beside it. O(c³), float64.
    """
    if total.ndim == 2:
        values, vectors = torch.linalg.eigh(total.double())
        powers = values.clamp(min=0) ** strength
        mean = powers.mean()
        powers = torch.where(mean > 0, powers / mean, torch.ones_like(powers)) + _DAMPING
        return ((vectors * powers) @ vectors.T).to(total.dtype)
    mean = total.mean()
    weights = torch.where(mean > 0, total / mean, torch.ones_like(total)) ** strength
    return weights.clamp(min=_LEAST * weights.mean())
