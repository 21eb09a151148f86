"""Block reconstruction in a run: each block's aim, its training (core/run/block_training.py), and what came of it."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Generator

from torch import Tensor

from core.models.activations import ActivationRoom
from core.models.open_model import batches
from core.models.streaming import Stream
from core.records import BlockReconstruction, Event
from core.run.block_training import train_block
from core.run.journal import BlockState
from core.run.progress import Meter
from core.run.propagation import DenseActivations
from core.spec import RunSpec


class Reconstruction:
    """Nothing for a spec that does not ask for it. `records`: a block each, in order."""

    def __init__(self, spec: RunSpec, meter: Meter, room: ActivationRoom) -> None:
        self._spec, self._meter, self._room = spec, meter, room
        self._own: Tensor | None = None  # what the dense block makes of the pruned model's hidden states, where that is the aim
        self.records: list[BlockReconstruction] = []

    @property
    def aims_at_model(self) -> bool:
        """True if the dense model's own activations are needed."""
        return bool(self._spec.reconstruct) and self._spec.reconstruct_aim == "model"

    def enter(self, stream: Stream, block: int, hidden: Tensor) -> None:
        """Before anything of a block is pruned; hidden [n, L, d]: the pruned model's, before the block."""
        if not self._spec.reconstruct or self.aims_at_model:
            return
        with self._meter.stage("reconstruct"):
            self._own = self._room.copy(hidden) if self._own is None else self._own
            for aim, part in zip(batches(self._own), batches(hidden), strict=True):
                aim.copy_(stream.forward(block, part))

    def train(self, stream: Stream, block: int, hidden: Tensor, dense: DenseActivations | None, work: float,
              say: Callable[[], Event]) -> Generator[Event]:
        """Once a block's layers are solved and written, and `dense` has left it: their kept weights, in place.

        `work` is what all passes count; yields what `say` gives after each step.
        """
        aim = dense.outputs if dense is not None and self.aims_at_model else self._own
        if not self._spec.reconstruct or aim is None:
            return
        turns = train_block(stream, block, hidden, aim, passes=self._spec.reconstruct, seed=self._spec.calibration.seed)
        done = 0.0
        while True:
            try:
                with self._meter.stage("reconstruct"):
                    share = next(turns)
            except StopIteration as end:
                self.records.append(end.value)
                return
            self._meter.advance((share - done) * work)
            done = share
            yield say()

    def of(self, block: int) -> BlockReconstruction | None:
        """A block's own, where it was trained."""
        return next((record for record in self.records if record.block == block), None)

    def take_over(self, state: BlockState) -> None:
        """A block that an earlier run has finished."""
        if state.reconstruction:
            self.records.append(state.reconstruction)
