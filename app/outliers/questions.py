"""The energy of rows: of all layers, and of one layer row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.workers.questions import OneLayerQuestion, SessionQuestion

if TYPE_CHECKING:
    from core.records.outlier_rows import EnergyShare, LayerRows
    from core.whatif.session import Session


class EnergySharesQuestion(SessionQuestion):
    """The share of each layer's energy in its ⌈αc⌉ strongest rows. Method and pattern do not matter: leave them at their defaults."""

    alpha: float

    def answer(self, session: Session) -> tuple[EnergyShare, ...]:
        from core.whatif.outlier_rows import energy_shares

        return energy_shares(session, self.alpha)


class LayerRowsQuestion(OneLayerQuestion):
    """One layer's rows by energy, and what goes and stays. `first`: of a large layer, by first looks."""

    first: bool = False

    def answer(self, session: Session) -> LayerRows:
        from core.whatif.outlier_rows import layer_rows

        return layer_rows(session, self.layer, self.spec, first=self.first)
