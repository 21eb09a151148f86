"""Questions on outlier rows, and on keeping them dense; the same for as many random rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.workers.questions import SessionQuestion

if TYPE_CHECKING:
    from core.records.outlier_rows import LayerPoint, ModelPoint
    from core.whatif.session import Session


class LayerPointQuestion(SessionQuestion):
    """One layer's error at the spec's α, and for so many draws with random rows."""

    layer: str
    draws: int = 0

    def answer(self, session: Session) -> LayerPoint:
        from core.whatif.outlier_rows import layer_point

        return layer_point(session, self.layer, self.spec, self.draws)


class ModelPointQuestion(SessionQuestion):
    """Perplexity at the spec's α, estimated; with a draw of random rows, or None for those of most energy.

    `windows`: evaluation windows at most; None: those of a preview.
    """

    draw: int | None = None
    windows: int | None = None

    def answer(self, session: Session) -> ModelPoint:
        from core.whatif.outlier_rows import model_point

        return model_point(session, self.spec, self.draw, self.windows)
