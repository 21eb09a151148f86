"""Questions to the interactive worker while a page waits. A question names all that its answer depends on; no torch here.

A new question is one class: its fields, and `answer`, which runs on the worker with the dense model and its Gram matrices
(core/whatif/session.py) and returns a frozen record; numpy arrays in it are fine. Import torch, numpy and the core's
mathematics inside `answer`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from core.spec import RunSpec
from core.spec.base import FrozenModel

if TYPE_CHECKING:
    from cache.store import Store
    from core.whatif.session import Session


class Question(FrozenModel):
    """`spec` says which model, texts, device and arithmetic; method and pattern where the question is about them.

    `about_a_layer`: from its weight and Gram matrix alone, unless its outputs have to be weighed.
    """

    about_a_layer: ClassVar[bool] = False
    spec: RunSpec

    @property
    def quick(self) -> bool:
        """True if it is answered beside a question about the whole model, whose weights another thread may just be exchanging: a quick
        answer never lets the model compute."""
        return self.about_a_layer and not self.spec.fisher


class SessionQuestion(Question):
    """A question that a what-if session answers."""

    @abstractmethod
    def answer(self, session: Session) -> object:
        """The answer, on the worker. What a person caused is raised as PruneError."""


class OneLayerQuestion(SessionQuestion):
    """A question about a layer. `behind`: a first look has answered already, or it takes long; what is quick goes before it."""

    about_a_layer: ClassVar[bool] = True
    layer: str
    behind: bool = False

    @property
    def quick(self) -> bool:
        return super().quick and not self.behind


class StoreQuestion(Question):
    """A question about what the store keeps: no model is opened for it."""

    @abstractmethod
    def answer_from(self, store: Store) -> object:
        """The answer, on the worker. What a person caused is raised as PruneError."""
