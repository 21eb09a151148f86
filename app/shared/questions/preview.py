"""Questions on a run before it is run: its preview, and the layers there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from app.workers.questions import SessionQuestion
from core.records.previews import LayerInfo, Preview

if TYPE_CHECKING:
    from core.whatif.session import Session


class PreviewQuestion(SessionQuestion):
    """All layer errors and an estimate of perplexity. `at_once`: for a slow method from a few rows of each layer."""

    at_once: bool = False

    def answer(self, session: Session) -> Preview:
        return session.preview(self.spec, at_once=self.at_once)


class LayersQuestion(SessionQuestion):
    """The layers of the model."""

    about_a_layer: ClassVar[bool] = True
    def answer(self, session: Session) -> tuple[LayerInfo, ...]:
        return session.layers
