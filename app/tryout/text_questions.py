"""Question for texts side by side. A longer text of the same request goes on where the shorter one ended."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from app.workers.process import open_store
from app.workers.questions import SessionQuestion
from cache.keys import content_key, run_key
from core.records.continuations import Continuation
from core.run.revisions import revisions
from core.spec import RunSpec
from core.spec.errors import Cancelled

if TYPE_CHECKING:
    from torch import Tensor

    from core.whatif.continuations import Continuations
    from core.whatif.session import Session

Kept = TypeVar("Kept")
_MOST = 6  # texts that the worker can go on with
_MOST_WEIGHTS = 4  # pruned models whose weights are at hand
_texts: OrderedDict[str, Continuations] = OrderedDict()
_weights: OrderedDict[str, tuple[Mapping[str, Tensor], bool]] = OrderedDict()


class TextQuestion(SessionQuestion):
    """The texts that the dense model and the pruned ones write after `prompt`, `tokens` long. `spec` is the first pruned model."""

    others: tuple[RunSpec, ...] = ()
    prompt: str
    temperature: float = 0.0
    seed: int = 0
    tokens: int

    def answer(self, session: Session) -> Continuation:
        """Raises BadInput, field "prompt"; Cancelled between two tokens."""
        key = content_key("continuation", question=self.model_copy(update={"tokens": 0}), revisions=revisions(self.spec))
        texts = _texts.pop(key, None)
        if texts is None or texts.length > self.tokens:
            texts = self._begun(session)
        try:
            while texts.length < self.tokens and not texts.over:
                if not session.wanted():
                    raise Cancelled
                texts.step()
        finally:
            _keep(_texts, key, texts, _MOST)
        return texts.record()

    def _begun(self, session: Session) -> Continuations:
        from core.whatif.continuations import Continuations, Sampling

        found = [_pruned(session, spec) for spec in (self.spec, *self.others)]
        return Continuations(session.opened, session.linears, self.prompt, [weights for weights, _ in found],
                             Sampling(temperature=self.temperature, seed=self.seed), [exact for _, exact in found])


def _pruned(session: Session, spec: RunSpec) -> tuple[Mapping[str, Tensor], bool]:
    """The weights of a pruned model, and whether they are those of a finished run; else as a preview solves them."""
    from core.whatif.continuations import previewed_weights

    key = run_key(spec, revisions(spec))
    journal = open_store().journal(key)
    kept = journal.blocks >= len({layer.block for layer in session.layers})
    name = f"{key} {kept}"
    if name not in _weights:
        _keep(_weights, name, (journal.weights, True) if kept else (previewed_weights(session, spec), False), _MOST_WEIGHTS)
    _weights.move_to_end(name)
    return _weights[name]


def _keep(kept: OrderedDict[str, Kept], key: str, value: Kept, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)
