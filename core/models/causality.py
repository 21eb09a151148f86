"""Causality, tested by behavior: a change of the last token must leave everything before it as it was.

A model that fails reads its text in both directions (BERT and its kin, prefix models): it has no next-token perplexity, and what it
would be given as one is too good by far. Nothing goes by name: an encoder whose configuration makes it a decoder passes.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.spec.errors import PruneError

_NEAR = 1e-5  # of the largest output: rounding, as experts take their tokens in other batches; decoders differ by 0 otherwise


class NotCausal(PruneError):
    """A later token changes what an earlier one becomes."""

    def __init__(self, place: str, share: float) -> None:
        super().__init__(f"This model sees the future: in {place} a change of the last token changes the outputs of the tokens before it, "
                         f"by {share:.2g} of the largest. It is an encoder, or reads its text in both directions, so it has no next-token "
                         "perplexity. Choose a causal language model (a decoder), or, where the family has both, a checkpoint that was "
                         "trained as one (is_decoder in its config.json).")
        self.place, self.share = place, share

    def __reduce__(self) -> tuple[type[NotCausal], tuple[str, float]]:
        return NotCausal, (self.place, self.share)


def require_causal(run: Callable[[Tensor], Tensor], hidden: Tensor, output: Tensor, place: str) -> None:
    """Raise NotCausal if the first L − 1 outputs [1, L, d] of `run` change with the last of its inputs [1, L, d], whose output is known.

    One more run. Nothing is tested of a window of one token.
    """
    if hidden.ndim != 3 or hidden.shape[1] < 2 or output.shape[:2] != hidden.shape[:2]:
        return
    other = hidden.clone()
    other[:, -1] = hidden[:, 0].flip(-1) - hidden[:, -1]  # another token, of the same size
    _compare(output, run(other), place)


def _compare(output: Tensor, other: Tensor, place: str) -> None:
    before, after = output[:, :-1].float(), other[:, :-1].float()
    near = max(_NEAR, 8 * torch.finfo(output.dtype).eps)
    largest = float(before.nan_to_num(0, 0, 0).abs().amax())
    moved = float((before - after).nan_to_num(0, 0, 0).abs().amax())
    if moved > near * largest:
        raise NotCausal(place, moved / largest)


def require_causal_embedding(embed: Callable[[Tensor], Tensor], tokens: Tensor) -> None:
    """The same of what comes before the first block: tokens [1, L] -> hidden states [1, L, d]. Two runs of it, no block among them."""
    if tokens.shape[1] < 2:
        return
    other = tokens.clone()
    other[:, -1] = torch.where(tokens[:, -1] == tokens[:, 0], tokens[:, -1].bitwise_xor(1), tokens[:, 0])
    first, second = embed(tokens), embed(other)
    if first.ndim == 3 and first.shape == second.shape:
        _compare(first, second, "what comes before its first block")
