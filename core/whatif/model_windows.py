"""The open model on windows of text, with some weights exchanged: perplexities of previews, and whatever else asks for logits."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from core.data.windows import Windows
from core.evaluate.perplexity import evaluated, token_losses
from core.linalg.cancellation import cancel_unless, check_cancelled
from core.linalg.parallel import map_layers
from core.linalg.products import FastLayers
from core.models.blocks import Linear
from core.models.open_model import OpenModel
from core.records import Evaluated

PREVIEW_TOKENS = 2048  # of the evaluation text, in whole windows: an eighth of a second on four cores for the demo model. Its estimates of
# fifteen runs were off by 1.0 % in the median (rms 4.1 %), those from 4096 tokens by 1.4 % (4.9 %), from 8192 by 0.8 % (2.1 %).
_TOKENS_TOGETHER = 512  # that a thread puts through the model at a time, in whole windows

Made = TypeVar("Made")


class ModelWindows:
    """One question at a time: weights are exchanged in the model itself while it computes."""

    def __init__(self, opened: OpenModel, linears: Mapping[str, Linear]) -> None:
        self._opened, self._linears = opened, linears

    def perplexity(self, weights: Mapping[str, Tensor], wanted: Callable[[], bool], count: int | None = None) -> Evaluated:
        """With these weights [out, in] in place of the model's own, on the first windows of the evaluation text: a preview's, or at
        most `count`. Raises Cancelled where `wanted` says no."""
        windows = self._windows(count)
        parts = windows.tokens.split(max(1, _TOKENS_TOGETHER // windows.tokens.shape[1]))
        with ExitStack() as stack:
            for name, weight in weights.items():
                stack.enter_context(self._linears[name].replaced(weight))
            losses = self.over_parts(lambda logits, part: token_losses(logits, parts[part]), parts, wanted)
        return evaluated(losses, windows, next(self._opened.model.parameters()).dtype,
                         model="the pruned model" if weights else "the dense model")

    def over_parts(self, work: Callable[[Tensor, int], Made], parts: Sequence[Tensor], wanted: Callable[[], bool]) -> list[Made]:
        """work(logits [n, L, vocabulary], i) of the model as it is, for every part i of some tokens, int64 [n, L]."""

        def one(part: int) -> Made:
            with cancel_unless(wanted), torch.no_grad(), FastLayers():  # of each thread's own
                check_cancelled()
                return work(self._opened.model(input_ids=parts[part].to(self._opened.device), use_cache=False).logits, part)

        return map_layers(one, range(len(parts)), self._opened.device)

    def _windows(self, count: int | None) -> Windows:
        windows = self._opened.evaluation
        return replace(windows, tokens=windows.tokens[: count or max(1, PREVIEW_TOKENS // windows.tokens.shape[1])])
