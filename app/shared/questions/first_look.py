"""Question on a large layer that is answered from some of its rows, while solving all of it takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.workers.questions import OneLayerQuestion
from core.records.previews import Looked

if TYPE_CHECKING:
    from core.whatif.session import Session


class FirstLookQuestion(OneLayerQuestion):
    """First look at a layer (core/whatif/first_look.py). Of a method that updates weights with its optimum: all rows take long there."""

    def answer(self, session: Session) -> Looked:
        from core.models.cost import layer_seconds, matrix_rate

        look = session.first_look(self.layer, self.spec)
        rows, columns = session.problem(self.layer).weight.shape
        seconds = layer_seconds(self.spec, rows, columns, matrix_rate(session.opened.device))
        return Looked(record=look.record(session, self.layer, optimum=not self.spec.leaves_kept_weights), seconds=seconds)
