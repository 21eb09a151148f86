"""Texts that a dense model and its pruned ones write after the same prompt, token by token. No torch."""

from __future__ import annotations

from core.spec.base import FrozenModel


class Written(FrozenModel):
    """A model's text after the prompt. `ended`: it has written the token that ends a text."""

    tokens: tuple[str, ...]
    ended: bool = False


class Candidate(FrozenModel):
    """A possible next token and its probability, by the dense model first, then by each pruned one."""

    token: str
    chances: tuple[float, ...]


class Place(FrozenModel):
    """The next-token distributions after the same text, the dense model's, up to one place in it."""

    token: str  # the one that the dense model wrote here
    divergences: tuple[float, ...]  # KL(dense ‖ pruned) of each pruned model [nats]
    candidates: tuple[Candidate, ...]  # the most probable ones of each model


class Continuation(FrozenModel):
    """Texts side by side. All models write on their own; distributions are compared after the dense model's text."""

    prompt: tuple[str, ...]
    dense: Written
    pruned: tuple[Written, ...]
    places: tuple[Place, ...]  # for each token of the dense model's text
    exact: tuple[bool, ...]  # of each pruned model: a finished run's weights; else as in a preview
    full: bool = False  # the context is full

    @property
    def length(self) -> int:
        """Tokens of the longest text."""
        return max(len(text.tokens) for text in (self.dense, *self.pruned))

    @property
    def over(self) -> bool:
        """True if no text goes on."""
        return self.full or all(text.ended for text in (self.dense, *self.pruned))
