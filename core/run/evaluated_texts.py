"""The evaluation texts of a run, on their way through the dense and the pruned model: one stream and two hidden states each.

    texts = EvaluatedTexts(opened, streams, known)      # known: the dense model's perplexities that need no measuring
    for block in …:
        texts.push_dense(block, push)                   # while the block's weights are the dense ones
        texts.push_pruned(block, push)                  # once they are pruned
    texts.results(texts.dense())
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from core.data.windows import Windows
from core.evaluate.perplexity import evaluated
from core.models.open_model import OpenModel, embed
from core.models.streaming import Stream
from core.records import Evaluated, TextResult
from core.run.evaluation import losses_of

Known = Evaluated | Sequence[Evaluated | None] | None
Push = Callable[[Stream, int, Tensor, str, float], None]  # (stream, block, hidden states, whose, share of the work of evaluating)


def known_dense(dense: Known, texts: int) -> tuple[Evaluated | None, ...]:
    """The dense perplexities that are known, one for each text; those without the losses of their windows are measured again."""
    given = [dense] if isinstance(dense, Evaluated) or dense is None else list(dense)
    kept = [found if found is not None and found.losses is not None else None for found in given]
    return tuple((kept + [None] * texts)[:texts])


@dataclass(kw_only=True, eq=False)
class _Text:
    stream: Stream
    windows: Windows
    known: Evaluated | None
    hidden: Tensor  # [n, L, d], of the pruned model
    reference: Tensor | None  # of the dense one, where that is to be measured

    @property
    def name(self) -> str:
        return f"evaluation text ({self.windows.description.partition(':')[0]})"


class EvaluatedTexts:
    """All evaluation texts of a run, one of the open model's streams for each. `measures_dense`: False for a run that is given the dense
    model's perplexities at its end, by another that shares its reading of the model."""

    def __init__(self, opened: OpenModel, streams: Sequence[Stream], known: Sequence[Evaluated | None], *,
                 measures_dense: bool = True) -> None:
        self._opened, self._texts = opened, list[_Text]()
        for windows, stream, dense in zip(opened.evaluations, streams, known, strict=True):
            hidden = embed(stream, windows.tokens, opened.room)
            self._texts.append(_Text(stream=stream, windows=windows, known=dense, hidden=hidden,
                                     reference=None if dense or not measures_dense else opened.room.copy(hidden)))

    def push_dense(self, block: int, push: Push) -> None:
        """Windows of the texts whose dense perplexity is not known, through the block as it is."""
        for text in self._texts:
            if text.reference is not None:
                push(text.stream, block, text.reference, f"dense model, {text.name}", self._share(text))

    def push_pruned(self, block: int, push: Push) -> None:
        """All windows through the pruned block."""
        for text in self._texts:
            push(text.stream, block, text.hidden, f"pruned model, {text.name}", self._share(text))

    def dense(self) -> tuple[Evaluated, ...]:
        """The dense model's perplexities after the last block, known or measured. Raises NotFinite where one is no number."""
        return tuple(text.known or self._evaluated(text, text.reference, "the dense model") for text in self._texts)

    def results(self, dense: Sequence[Evaluated]) -> tuple[TextResult, ...]:
        """Perplexities after the last block beside the dense model's. Raises NotFinite where one is no number."""
        return tuple(TextResult(dense=known, pruned=self._evaluated(text, text.hidden, "the pruned model"))
                     for text, known in zip(self._texts, dense, strict=True))

    def _evaluated(self, text: _Text, hidden: Tensor | None, model: str) -> Evaluated:
        assert hidden is not None, "this run was not to measure the dense model"
        return evaluated(losses_of(text.stream, hidden, text.windows.tokens), text.windows, self._opened.model.dtype, model=model)

    def _share(self, text: _Text) -> float:
        """Of the work of evaluating a block, the part of one of the text's hidden states."""
        total = sum(one.windows.tokens.numel() * (1 if one.reference is None else 2) for one in self._texts)
        return text.windows.tokens.numel() / total
