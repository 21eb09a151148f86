"""What a run would come to, before it is run; and the layers there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from app.questions import Question
from core.previews import LayerInfo, Preview

if TYPE_CHECKING:
    from core.desk import Desk


class PreviewQuestion(Question):
    """All layer errors and an estimate of perplexity. `at_once`: for a slow method from a few rows of each layer."""

    at_once: bool = False

    def answer(self, desk: Desk) -> Preview:
        return desk.preview(self.spec, at_once=self.at_once)


class LayersQuestion(Question):
    """The layers of the model."""

    about_a_layer: ClassVar[bool] = True
    def answer(self, desk: Desk) -> tuple[LayerInfo, ...]:
        return desk.layers
