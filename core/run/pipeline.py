"""The reading of a model, block by block: `prune(spec)` yields the events of one run, `prune_together(specs)` those of several.

    (where asked: the dense model looked at first ─► what errors of outputs cost, each layer's share of the zeros, core/run/sensitivity.py)
    for each decoder block, its weights read or on the device now
        dense evaluation activations ─► through the dense block
        each run                     ─► prunes the dense block and goes through it (core/run/block_pass.py), or leaves it out
                                        (core/run/depth.py)
    final norm and head ─► dense and pruned perplexity

Runs that share a reading share the loading, each block's way to the device, the dense model's evaluation and the Gram matrices of the
first block, where none has pruned anything yet. Their numbers are those of runs alone, to the bit.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from torch import Tensor

from core.models.blocks import Linear
from core.models.device import choose_device
from core.models.inputs import require_same
from core.models.open_model import OpenModel, open_model
from core.models.placement import Streaming
from core.models.streaming import Stream
from core.records import BlockFinished, Evaluated, Event, Finished, Progress, Revisions
from core.run.block_pass import BlockPass
from core.run.collecting import FirstGrams
from core.run.depth import DepthPass
from core.run.evaluated_texts import Known, known_dense
from core.run.journal import Journal
from core.run.progress import Meter
from core.spec import RunSpec
from core.spec.errors import LESS_MEMORY, BadInput, PruneError, memory_told

_SHARED = ("model", "revision", "calibration", "evaluation", "further_evaluations", "device", "dtype", "experts", "skip")
Told = tuple[int, Event | PruneError]


def prune(spec: RunSpec, *, journal: Journal | None = None, dense: Known = None, expected: Revisions | None = None,
          streaming: Streaming | None = None, limit: int | None = None) -> Iterator[Event]:
    """Prune a model and measure it; the last event is `Finished`. Close the iterator to stop: nothing is left behind.

    `journal` keeps finished blocks and makes a rerun continue at the next one. `dense` is the unpruned model's perplexity under the same
    protocol where it is known, window by window (without its losses it is measured again); a sequence where there are several evaluation
    texts, None for what is not known. `expected`: the revisions to which these belong. `streaming` and `limit`, bytes of memory, decide
    what is held in memory, not the numbers (core/models/placement.py).
    Raises PruneError for what a person can mend, InputChanged where model or texts are not those expected or change meanwhile.
    """
    for _, event in prune_together([spec], journals=[journal], dense=dense, expected=expected, streaming=streaming, limit=limit):
        if isinstance(event, PruneError):
            raise event
        yield event


def sharing(spec: RunSpec) -> tuple[object, ...]:
    """The part of a run that has to be equal for runs to share a reading of their model."""
    return tuple(getattr(spec, name) for name in _SHARED)


def prune_together(specs: Sequence[RunSpec], *, journals: Sequence[Journal | None] = (), dense: Known = None,
                   expected: Revisions | None = None, streaming: Streaming | None = None, limit: int | None = None) -> Iterator[Told]:
    """Prune one model in several ways, as many in one reading as the memory takes; yields (index of the run, event).

    Each run ends with its `Finished`, or with the PruneError that ended it and none of the others. Journals are one a run. All else as
    `prune`; its errors are raised where they concern all runs. Raises BadInput for runs that have not the same model, texts, device,
    arithmetic, experts and layers.
    """
    if len({sharing(spec) for spec in specs}) != 1:
        raise BadInput("runs", f"{len(specs)} runs", "runs of one model with the same texts, device, dtype, experts and skipped layers",
                       "Ask for the others by themselves.")
    meters = [Meter(device := choose_device(specs[0].device)) for _ in specs]
    yield from ((index, Progress(stage="load", block=0, blocks=0, fraction=0.0, seconds=meter.seconds))
                for index, meter in enumerate(meters))
    with memory_told("pruning", LESS_MEMORY):
        with meters[0].stage("load"):
            opened = open_model(specs[0], device, streaming, limit, others=specs[1:])
            if expected is not None:
                require_same(expected.addresses, opened.inputs.addresses, specs[0])
        for other in meters[1:]:
            other.leave_out(meters[0].seconds)  # loading is counted once
        known = known_dense(dense, len(opened.evaluations))
        asked = list(journals) or [None] * len(specs)
        for start in range(0, len(specs), opened.placement.runs):
            stop = min(start + opened.placement.runs, len(specs))
            reading = _Reading(opened, specs[start:stop], meters[start:stop], asked[start:stop], known, again=stop < len(specs))
            with _waiting([*meters[:start], *meters[stop:]]):
                yield from ((start + index, event) for index, event in reading.run())
            known = reading.dense or known


class _Reading:
    """One reading of the model for some runs. `again`: another follows, for which a model in memory is put back as it was.

    The first run that can be made leads: what is shared is counted with it.
    """

    def __init__(self, opened: OpenModel, specs: Sequence[RunSpec], meters: Sequence[Meter], journals: Sequence[Journal | None],
                 known: Sequence[Evaluated | None], *, again: bool) -> None:
        self._opened = replace(opened, placement=opened.placement.model_copy(update={"runs": len(specs)}))
        self._meters, self._restores = meters, again and opened.block_map.reader is None
        self._first = FirstGrams() if len(specs) > 1 or self._restores else None
        self._passes, self._failed = dict[int, BlockPass | DepthPass](), dict[int, PruneError]()
        for index, (spec, meter, journal) in enumerate(zip(specs, meters, journals, strict=True)):
            try:
                leads = not self._passes
                self._passes[index] = (
                    BlockPass(spec, self._opened, meter, journal, dense=known, leads=leads, first=self._first) if spec.pattern.solves else
                    DepthPass(spec, self._opened, meter, journal, dense=known, leads=leads))
            except PruneError as error:
                self._failed[index] = error
        self.dense: tuple[Evaluated, ...] = ()  # once measured

    def run(self) -> Iterator[Told]:
        """Events of all runs, in turn."""
        yield from self._failed.items()
        if not self._passes:
            return
        leads, leader = next(iter(self._passes.items()))
        for index, one in self._passes.items():
            yield from self._turn(index, one.begin())
        with ExitStack() as stack:
            with self._counted(leads):
                calibrator, *evaluators = stack.enter_context(self._opened.streams(leader.block_map))
            for index, one in self._passes.items():
                with self._counted(index):
                    one.enter(calibrator, evaluators)
            for block in range(leader.blocks if self._alive else 0):
                with ExitStack() as lent:
                    with self._counted(leads):
                        lent.enter_context(calibrator.on_device(block))
                        yield from ((leads, event) for event in leader.push_dense(block))
                    yield from self._block(block, calibrator)
                yield from ((index, BlockFinished(block=block, blocks=one.blocks)) for index, one in self._alive)
            yield from ((index, one.progress("evaluate", one.blocks - 1)) for index, one in self._alive)
            if self._alive:
                with self._counted(leads), leader.meter.stage("evaluate"):
                    self.dense = leader.texts.dense()
            for index, one in self._alive:
                yield from self._turn(index, self._ended(one))

    def _block(self, block: int, calibrator: Stream) -> Iterator[Told]:
        """A block, its weights there and dense."""
        linears = next(iter(self._passes.values())).block_map.linears[block]
        dense = [(linear, linear.weight.clone()) for linear in linears] if self._first else []
        for turn, (index, one) in enumerate(self._alive):
            if turn:
                _put_back(dense)
            yield from self._turn(index, one.block(block, calibrator))
        if self._restores:
            _put_back(dense)
        if self._first:
            self._first.clear()

    @property
    def _alive(self) -> list[tuple[int, BlockPass | DepthPass]]:
        return [(index, one) for index, one in self._passes.items() if index not in self._failed]

    def _turn(self, index: int, events: Iterable[Event]) -> Iterator[Told]:
        """Events of one run, whose time is its own. What ends it ends none of the others."""
        try:
            with self._counted(index):
                yield from ((index, event) for event in events)
        except PruneError as error:
            self._failed[index] = error
            yield index, error

    @contextmanager
    def _counted(self, index: int) -> Generator[None]:
        """Time inside is the run's, not the others'."""
        with _waiting([meter for other, meter in enumerate(self._meters) if other != index]):
            yield

    def _ended(self, one: BlockPass | DepthPass) -> Iterator[Finished]:
        with one.meter.stage("evaluate"):
            measured = one.texts.results(self.dense)
        self._opened.inputs.check()
        yield Finished(result=one.result(measured))


def _put_back(kept: Iterable[tuple[Linear, Tensor]]) -> None:
    """Write the dense weights of a block's layers."""
    for linear, weight in kept:
        linear.write(weight)


@contextmanager
def _waiting(meters: Sequence[Meter]) -> Generator[None]:
    """Time inside counts for none of these."""
    start = time.perf_counter()
    try:
        yield
    finally:
        for meter in meters:
            meter.leave_out(time.perf_counter() - start)
