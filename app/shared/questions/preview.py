"""Questions on a run before it is run: its preview, and the layers there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from app.workers.questions import SessionQuestion
from core.records.previews import Held, LayerInfo, Preview, PreviewCost

if TYPE_CHECKING:
    from core.whatif.session import Session


class PreviewQuestion(SessionQuestion):
    """All layer errors and an estimate of perplexity. `at_once`: for a slow method from a few rows of each layer. `patience`: its cost in
    place of one that is estimated at more seconds."""

    at_once: bool = False
    patience: float | None = None

    def answer(self, session: Session) -> Preview | PreviewCost:
        from core.whatif.preview_cost import preview_cost

        if self.patience is not None and session.whole:
            cost = preview_cost(session, self.spec)
            if cost.seconds > self.patience:
                return cost
        return session.preview(self.spec, at_once=self.at_once)


class HeldQuestion(SessionQuestion):
    """Extent of a session: the whole model, or single layers."""

    about_a_layer: ClassVar[bool] = True

    def answer(self, session: Session) -> Held:
        from core.models.cost import collecting_seconds, gram_bytes, matrix_rate
        from core.run.planning import model_shape

        opened = session.opened
        if session.whole:
            return Held(whole=True, blocks=len(opened.block_map.blocks), gram_bytes=0, seconds=0.0)
        shape = model_shape(opened.model, opened.block_map, self.spec)
        seconds = collecting_seconds(shape, self.spec, opened.calibration.tokens.numel(), matrix_rate(opened.device))
        return Held(whole=False, blocks=len(opened.block_map.blocks), gram_bytes=gram_bytes(shape), seconds=seconds)


class LayersQuestion(SessionQuestion):
    """The layers of the model."""

    about_a_layer: ClassVar[bool] = True
    def answer(self, session: Session) -> tuple[LayerInfo, ...]:
        return session.layers
