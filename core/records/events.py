"""Events of a run, from `Started` to `Finished`. No torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from core.records.runs import LayerRecord, RunResult
from core.spec.base import FrozenModel


class Started(FrozenModel):
    """The model is loaded and its layers are found."""

    kind: Literal["started"] = "started"
    blocks: int
    layers: int
    resumed_blocks: int = 0


class Progress(FrozenModel):
    """Progress of a run. `fraction` is of the estimated work, 0 to 1."""

    kind: Literal["progress"] = "progress"
    stage: Literal["load", "calibrate", "collect", "solve", "reconstruct", "push", "evaluate", "room"]
    block: int
    blocks: int
    layer: str | None = None
    fraction: float
    seconds: float  # since the start
    seconds_left: float | None = None
    note: str | None = None  # why it waits, where it does


class LayerPruned(FrozenModel):
    """A layer is done: solved, or taken over from the journal; the latter come first, together."""

    kind: Literal["layer"] = "layer"
    layer: LayerRecord
    done: int
    layers: int


class BlockFinished(FrozenModel):
    """A block is done and, where the caller keeps a journal, written down."""

    kind: Literal["block"] = "block"
    block: int
    blocks: int


class Finished(FrozenModel):
    """The last event."""

    kind: Literal["finished"] = "finished"
    result: RunResult


Event = Annotated[Started | Progress | LayerPruned | BlockFinished | Finished, Field(discriminator="kind")]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
