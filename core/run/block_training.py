"""Training of a block's kept weights after its layers are solved, masks fixed: block reconstruction.

With f the block, x̂ the pruned model's hidden states before it and y its aim, minimize over the kept weights

    L(Ŵ) = ‖f(x̂; Ŵ) − y‖² / ‖y‖²

y = f(x̂; W) is what the dense block makes of the same input (aim "block"), y = f(x; W) what the dense model has there (aim "model"), so
that a block also makes up for those before it. The steps are AdamW's without weight decay (Loshchilov & Hutter 2019), of a size relative
to each layer's kept weights, with a short warm-up and a linear decay. Reconstruction of blocks with fixed masks: Guo et al. 2024 (EBFT).
No labels, one block at a time, after any method. An eighth of the calibration windows is not trained on: the weights that are kept are
those with the least L there, the solve's own among them.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from core.models.blocks import Linear
from core.models.open_model import batches
from core.models.streaming import Stream
from core.records import BlockReconstruction

HELD_OUT = 8  # one window in so many
_STEP_TOKENS = 2048  # of a step, in whole windows
_RATE = 0.03  # of the root mean square of a layer's kept weights
_WARM_UP = 0.1  # of the steps


def train_block(stream: Stream, block: int, hidden: Tensor, aim: Tensor, *, passes: int,
                seed: int) -> Generator[float, None, BlockReconstruction]:
    """Train the kept weights of a block's layers in place; yields the share of the steps that is done, returns what came of it.

    hidden x̂ and aim y [n, L, d], n ≥ 2, in the model's dtype, anywhere. Weights that are 0 stay 0. Three forwards of the block a pass
    over the calibration text; memory: four times the block's weights in float32, and one step's activations.
    """
    start, linears = time.perf_counter(), stream.block_map.linears[block]
    held_out = max(1, hidden.shape[0] // HELD_OUT)
    train, size = hidden.shape[0] - held_out, max(1, _STEP_TOKENS // hidden.shape[1])
    trained = _Trained(stream, block, linears, steps=passes * math.ceil(train / size))
    before = best = trained.loss(hidden[train:], aim[train:])
    kept, weights = 0, trained.copy()
    order = torch.Generator().manual_seed(seed)
    for turn in range(1, passes + 1):
        for chosen in torch.randperm(train, generator=order).split(size):
            trained.step(hidden[chosen], aim[chosen])
            yield trained.done
        loss = trained.loss(hidden[train:], aim[train:])
        if loss < best:
            best, kept, weights = loss, turn, trained.copy()
    trained.put(weights)
    return BlockReconstruction(block=block, passes=passes, kept=kept, windows=train, held_out=held_out, before=before, after=best,
                               seconds=time.perf_counter() - start)


class _Trained:
    """A block in training: its kept weights in float32, and their steps."""

    def __init__(self, stream: Stream, block: int, linears: Sequence[Linear], *, steps: int) -> None:
        self._stream, self._block, self._linears, self._steps, self._taken = stream, block, linears, steps, 0
        self._weights = [linear.weight.float().clone() for linear in linears]
        self._kept = [weight != 0 for weight in self._weights]
        self._places = [_place(linear, stream.block_map.blocks[block]) for linear in linears]
        self._rates = [_RATE * float(weight.square().sum() / kept.sum().clamp(min=1)) ** 0.5
                       for weight, kept in zip(self._weights, self._kept, strict=True)]
        self._adam = torch.optim.AdamW([{"params": [weight], "lr": rate} for weight, rate in zip(self._weights, self._rates, strict=True)],
                                       weight_decay=0.0, eps=1e-15)  # gradients of a relative error are tiny

    @property
    def done(self) -> float:
        return self._taken / self._steps

    def copy(self) -> list[Tensor]:
        return [weight.clone() for weight in self._weights]

    def put(self, weights: Sequence[Tensor]) -> None:
        """Into the model."""
        for linear, weight in zip(self._linears, weights, strict=True):
            linear.write(weight)

    def step(self, hidden: Tensor, aim: Tensor) -> None:
        """One step on these windows, [n, L, d]."""
        progress = min(1.0, (self._taken + 1) / max(1.0, _WARM_UP * self._steps)) * (1 - self._taken / self._steps)
        for group, rate in zip(self._adam.param_groups, self._rates, strict=True):
            group["lr"] = rate * progress
        parameters = list({id(parameter): parameter for parameter, _ in self._places}.values())
        asked = [parameter.requires_grad for parameter in parameters]
        try:
            with torch.enable_grad():
                for parameter in parameters:
                    parameter.requires_grad_(True)
                aim = aim.to(self._stream.device).float()
                error = self._stream.forward_with_grad(self._block, hidden).float() - aim
                slopes = torch.autograd.grad(error.square().sum() / aim.square().sum(), parameters, materialize_grads=True)
        finally:
            for parameter, before in zip(parameters, asked, strict=True):
                parameter.requires_grad_(before)
        found = {id(parameter): slope for parameter, slope in zip(parameters, slopes, strict=True)}
        for (parameter, offset), linear, weight, kept in zip(self._places, self._linears, self._weights, self._kept, strict=True):
            slope = found[id(parameter)]
            weight.grad = _within(slope, parameter, linear.weight, offset).float() * kept
        self._adam.step()
        self._taken += 1
        self.put(self._weights)

    def loss(self, hidden: Tensor, aim: Tensor) -> float:
        """L on these windows."""
        error = total = 0.0
        for part, goal in zip(batches(hidden), batches(aim), strict=True):
            wanted = goal.to(self._stream.device).float()
            error += float((self._stream.forward(self._block, part).float() - wanted).square().sum())
            total += float(wanted.square().sum())
        return error / total if total > 0 else 0.0


def _place(linear: Linear, block: torch.nn.Module) -> tuple[torch.nn.Parameter, int]:
    """The parameter of the block that a layer's weight is a view of, and the weight's first entry in it."""
    weight = linear.weight
    for parameter in block.parameters():
        offset, rest = divmod(weight.data_ptr() - parameter.data_ptr(), parameter.element_size())
        if not rest and 0 <= offset < parameter.numel() and parameter.device == weight.device:
            return parameter, offset
    raise AssertionError(f"{linear.name} is no view of a parameter of its block")


def _within(slope: Tensor, parameter: Tensor, weight: Tensor, offset: int) -> Tensor:
    """The part of a parameter's gradient that belongs to a layer's weight [c, b]."""
    laid = torch.empty_strided(parameter.size(), parameter.stride(), dtype=slope.dtype, device=slope.device).copy_(slope)
    return laid.as_strided(weight.size(), weight.stride(), offset)
