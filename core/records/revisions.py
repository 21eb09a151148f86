"""Revisions of a run's inputs, by content. No torch."""

from __future__ import annotations

from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer

from core.spec.base import FrozenModel


class Revisions(FrozenModel):
    """The exact inputs behind the names of a spec; with the spec they make a run's key."""

    model: str
    calibration: str
    evaluation: str
    method: int
    core: int
    further_evaluations: tuple[str, ...] = ()

    @model_serializer(mode="wrap")
    def _without_default(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Younger than stored results: it leaves no trace in a key or a file where there is none."""
        written = write(self)
        if not self.further_evaluations:
            written.pop("further_evaluations", None)
        return written

    @property
    def addresses(self) -> dict[str, str]:
        """Of each input by its name: model, calibration, evaluation, evaluation 2, …"""
        return {"model": self.model, "calibration": self.calibration, "evaluation": self.evaluation,
                **{f"evaluation {place}": address for place, address in enumerate(self.further_evaluations, 2)}}

    @property
    def on_each_text(self) -> tuple[Revisions, ...]:
        """The same for each of the evaluation texts alone, the first one first."""
        return tuple(self.model_copy(update={"evaluation": address, "further_evaluations": ()})
                     for address in (self.evaluation, *self.further_evaluations))
