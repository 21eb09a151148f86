"""Error propagation: correction of a layer's weights for the error of the pruned blocks before it (Arai & Ichikawa 2025, QEP).

Where the dense model gives a layer X, it reads X̂ behind pruned blocks. With C = XX̂ᵀ, G = X̂X̂ᵀ and a strength θ of 0 to 1, methods get

    W* = W + θ·W(C − G)(G + λ·mean(diag G)·I)⁻¹

in place of W. At θ = 1 and λ = 0 these are the weights whose outputs W*X̂ come nearest to WX; at θ = 0 each layer aims at WX̂, as is usual.
Which θ is best was measured: docs/methods/propagation.md.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from core.linalg.cholesky import cholesky
from core.linalg.damping import damp
from core.models.activations import ActivationRoom
from core.models.blocks import Linear
from core.models.grams import InputStatistics, input_statistics
from core.models.open_model import batches
from core.models.streaming import Stream

_DAMPING = 0.01  # λ: inputs that calibration hardly uses would be given large weights


class DenseActivations:
    """The calibration activations of the model as it was, block by block beside those of the model that is being pruned.

    `hidden` [n, L, d]: before the first block, then moved on in place. Holds a copy of the present block's weights.
    """

    def __init__(self, stream: Stream, hidden: Tensor, room: ActivationRoom) -> None:
        self._stream, self._hidden = stream, room.copy(hidden)
        self._dense: list[tuple[Linear, Tensor]] = []

    def enter(self, linears: Sequence[Linear]) -> None:
        """Before anything of a block is pruned."""
        self._dense = [(linear, linear.weight.clone()) for linear in linears]

    def batches(self, block: int, groups: Collection[int], *, push: bool) -> Generator[dict[int, Tensor]]:
        """For each batch of windows X [tokens, b] of the groups, float32; with `push` the activations leave the block. None of experts: the
        dense model's router sends them other tokens."""
        groups = [group for group in groups if self._stream.groups(block)[group][0].expert is None]
        for batch in batches(self._hidden):
            seen: dict[int, Tensor] = {}

            def observe(group: int, inputs: Tensor, seen: dict[int, Tensor] = seen) -> None:
                if group in groups:
                    seen[group] = inputs.to(torch.float32, copy=True)

            with self._unpruned():
                output = self._stream.observe(block, batch, observe, last=None if push else max(groups, default=None))
            if output is not None:
                batch.copy_(output)
            yield seen

    def leave(self, block: int) -> None:
        """Through the dense block, where its inputs are not asked for."""
        for _ in self.batches(block, (), push=True):
            pass

    @property
    def outputs(self) -> Tensor:
        """[n, L, d]: what the dense model has behind the last block that was left."""
        return self._hidden

    @contextmanager
    def _unpruned(self) -> Generator[None]:
        with ExitStack() as stack:
            for linear, weight in self._dense:
                stack.enter_context(linear.replaced(weight))
            yield


def collect(stream: Stream, block: int, hidden: Tensor, groups: list[int], dense: DenseActivations | None, *, beside: bool,
            last: bool, collect_alone: Callable[..., dict[int, InputStatistics]] = input_statistics) -> dict[int, InputStatistics]:
    """Statistics of groups of a block's inputs; with the dense model's `beside` them where errors are propagated, and nothing before the
    first block differs. The dense model's activations, where they are kept, leave the block with its `last` groups. `collect_alone`:
    `input_statistics`, or what gives the same."""
    nothing_pruned = block == 0 and 0 in groups
    if dense and beside and not nothing_pruned:
        return input_statistics(stream, block, hidden, groups, beside=dense.batches(block, groups, push=last))
    if dense and last:
        dense.leave(block)
    return collect_alone(stream, block, hidden, groups)


def correction(gram: Tensor, cross: Tensor, strength: float, *, layer: str) -> Tensor:
    """θ(C − G)(G + λ·mean(diag G)·I)⁻¹ [b, b], for all layers that read this input: W* = W + W·correction.

    gram G and cross C = XX̂ᵀ [b, b], X the dense model's inputs. 4/3·b³ multiply-adds. Raises IllConditioned.
    """
    lower = cholesky(damp(gram, _DAMPING), layer=layer, damping=_DAMPING)
    return strength * torch.cholesky_solve((cross - gram).T, lower).T
