"""Texts side by side: a dense model and pruned ones continue one prompt, each with its own text, one token a step.

    texts = Continuations(opened, linears, prompt, (weights, …), sampling)
    texts.step()        # one token more of every text
    texts.record()      # what was written, with the distributions

The model is in memory once: each pruned model's weights [out, in] are put in its place for the time of its forward. A pruned model reads
two texts at once, its own and the dense model's, so that distributions can be compared after the same tokens:

    KL(dense ‖ pruned) = Σ_v p(v) (ln p(v) − ln q(v))       after the dense model's text

Sampling is by the Gumbel trick, argmax_v (ln p(v)/T + g_v), with the same noise g for all models at a step: equal distributions choose
equal tokens, so that texts part where pruning, not chance, has changed the distribution.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from core.models.blocks import Linear
from core.models.open_model import OpenModel
from core.models.tokenizing import load_tokenizer
from core.records.continuations import Candidate, Continuation, Place, Written
from core.spec import RunSpec
from core.spec.base import FrozenModel
from core.spec.errors import BadInput
from core.whatif.session import Session

TOP = 5  # candidates of each model at a place
_STEP_SEEDS = 1_000_003  # apart, for the noise of one seed and that of the next


class Sampling(FrozenModel):
    """`temperature` 0 is greedy: the most probable token, whatever the seed."""

    temperature: float = 0.0
    seed: int = 0


def previewed_weights(session: Session, spec: RunSpec) -> dict[str, Tensor]:
    """Pruned weights [out, in] of every layer that is pruned, as in a preview of `spec`."""
    patterns = session.patterns(spec)
    session.weigh(spec)
    return session.over_layers(lambda name: session.solve(name, spec.model_copy(update={"pattern": patterns[name]})).weight, patterns)


@dataclass(kw_only=True, eq=False)
class _Writer:
    """A model with its texts: rows of a batch, its own first, the dense model's last (the dense model has one row)."""

    weights: Mapping[str, Tensor]
    rows: int
    exact: bool = True
    own: list[int] = field(default_factory=list[int])
    ended: bool = False
    cache: Any = None
    logits: Tensor = field(default_factory=lambda: torch.empty(0))  # float32 [rows, vocabulary], after all that was read


class Continuations:
    """Texts of a dense model and its pruned ones after one prompt. The model computes: one thread at a time."""

    def __init__(self, opened: OpenModel, linears: Mapping[str, Linear], prompt: str, pruned: Sequence[Mapping[str, Tensor]],
                 sampling: Sampling, exact: Sequence[bool] = ()) -> None:
        """Raises BadInput, field "prompt", for one that has no token, or that leaves no room in the context."""
        self._opened, self._linears, self._sampling = opened, linears, sampling
        self._tokenizer = load_tokenizer(opened.source)
        self._prompt: list[int] = list(self._tokenizer(prompt, verbose=False)["input_ids"])
        context = opened.source.context
        if not self._prompt or not prompt.strip():
            raise BadInput("prompt", prompt, "a text of one token or more", "Write the beginning of a sentence.")
        if len(self._prompt) >= context:
            raise BadInput("prompt", f"{len(self._prompt)} tokens", f"up to {context - 1} tokens: the model's context has {context}",
                           "Make it shorter.")
        known = [*exact, *[True] * len(pruned)]
        self._writers = [_Writer(weights={}, rows=1),
                         *(_Writer(weights=weights, rows=2, exact=one) for weights, one in zip(pruned, known, strict=False))]
        self._places: list[tuple[int, tuple[float, ...], Tensor, Tensor]] = []

    @property
    def length(self) -> int:
        """Tokens of the longest text."""
        return max(len(writer.own) for writer in self._writers)

    @property
    def over(self) -> bool:
        """True if no text goes on: each has ended, or the context is full."""
        return self._full or all(writer.ended for writer in self._writers)

    @property
    def _full(self) -> bool:
        return len(self._prompt) + self.length >= self._opened.source.context

    @torch.no_grad()
    def step(self) -> None:
        """One token more of every text that has not ended."""
        first = not self.length
        dense = self._writers[0]
        if first:
            for writer in self._writers:
                self._read(writer, torch.tensor([self._prompt] * writer.rows))
        if not dense.ended:
            self._compare()
        noise = self._noise(self.length, dense.logits.shape[-1])
        chosen = [int((writer.logits[0] + noise).argmax()) for writer in self._writers]
        endings = self._endings()
        for writer, token in zip(self._writers, chosen, strict=True):
            if not writer.ended:
                writer.own.append(token)
                writer.ended = token in endings
        if not self.over:
            for writer, token in zip(self._writers, chosen, strict=True):
                self._read(writer, torch.tensor([[token], [chosen[0]]][: writer.rows]))

    def record(self) -> Continuation:
        """All that was written so far."""
        dense, *pruned = (Written(tokens=self._pieces(self._prompt, writer.own), ended=writer.ended) for writer in self._writers)
        places = tuple(Place(token=token, divergences=divergences, candidates=self._candidates(ids, chances))
                       for token, (_, divergences, ids, chances) in zip(dense.tokens, self._places, strict=False))
        return Continuation(prompt=self._pieces([], self._prompt), dense=dense, pruned=tuple(pruned), places=places,
                            exact=tuple(writer.exact for writer in self._writers[1:]), full=self._full)

    def _read(self, writer: _Writer, tokens: Tensor) -> None:
        """Forward of `tokens` int64 [rows, n] behind what the writer has read."""
        with ExitStack() as stack:
            for name, weight in writer.weights.items():
                stack.enter_context(self._linears[name].replaced(weight))
            output = self._opened.model(input_ids=tokens.to(self._opened.device), past_key_values=writer.cache, use_cache=True)
        writer.cache = output.past_key_values
        writer.logits = output.logits[:, -1].float().cpu()

    def _compare(self) -> None:
        """Keep the distributions after the dense model's text: divergences, and the candidates of all models."""
        logs = torch.stack([writer.logits[-1].log_softmax(-1) for writer in self._writers])
        p = logs[0].exp()
        divergences = tuple(max(0.0, float((p * (logs[0] - other)).sum())) for other in logs[1:])
        ids = torch.unique(logs.topk(min(TOP, logs.shape[-1])).indices)
        ids = ids[logs[0, ids].argsort(descending=True)]
        self._places.append((len(self._places), divergences, ids, logs[:, ids].exp()))

    def _noise(self, step: int, vocabulary: int) -> Tensor:
        """T·g [vocabulary], to be added to logits; zero where sampling is greedy."""
        if not self._sampling.temperature:
            return torch.zeros(vocabulary)
        generator = torch.Generator().manual_seed(self._sampling.seed * _STEP_SEEDS + step)
        uniform = torch.rand(vocabulary, generator=generator, dtype=torch.float64).clamp(1e-300, 1 - 1e-16)
        return (-self._sampling.temperature * (-uniform.log()).log()).float()

    def _endings(self) -> set[int]:
        """The tokens that end a text."""
        told: Any = getattr(self._opened.model.generation_config, "eos_token_id", None)
        named: list[Any] = [*(told if isinstance(told, list) else [told]), self._tokenizer.eos_token_id]
        return {int(token) for token in named if token is not None}

    def _pieces(self, before: Sequence[int], tokens: Sequence[int]) -> tuple[str, ...]:
        """The text of each token as it stands behind the others."""
        ids, start = [*before, *tokens], len(before)
        ends = [self._tokenizer.decode(ids[:end], clean_up_tokenization_spaces=False) for end in range(start, len(ids) + 1)]
        return tuple(after[len(earlier):] if after.startswith(earlier) else self._tokenizer.decode([token])
                     for earlier, after, token in zip(ends, ends[1:], tokens, strict=False))

    def _candidates(self, ids: Tensor, chances: Tensor) -> tuple[Candidate, ...]:
        return tuple(Candidate(token=self._tokenizer.decode([int(token)]), chances=tuple(map(float, column)))
                     for token, column in zip(ids, chances.T, strict=True))
