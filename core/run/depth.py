"""The pass of a run in which whole decoder blocks go: they are scored, and the model is measured without the chosen ones. Driven by
core/run/pipeline.py, as the passes in which layers are solved.

    calibration activations ─► a score for every block (core/structures), the least go
    evaluation activations  ─► dense through all blocks, pruned through those that stay
    final norm and head     ─► dense and pruned perplexity

No layer is solved and no weight is written: the record says which blocks went, and that is the whole outcome. A block that stays computes
with its own mask and positions, as in a model that never had the others. A journal keeps each finished round of scores.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

from torch import Tensor

from core.models.blocks import Linear, parameter_count
from core.models.open_model import OpenModel, batches
from core.models.streaming import Stream
from core.records import Evaluated, Event, LayerPruned, LayerRecord, Progress, RemovedShape, RunResult, ScoredRound, Started, TextResult
from core.run.evaluated_texts import EvaluatedTexts
from core.run.evaluation import require_finite
from core.run.journal import BlockState, Journal
from core.run.layer_choice import chosen_layers, staying
from core.run.planning import work_of
from core.run.progress import Meter
from core.run.results import run_result
from core.spec import RunSpec
from core.spec.methods import StructureScore
from core.spec.patterns import Blocks
from core.structures.choice import Choice, choose_blocks, rounds_of


class DepthPass:
    """One run's pass. Raises BadInput for a number of blocks that the model does not have, or that must stay."""

    def __init__(self, spec: RunSpec, opened: OpenModel, meter: Meter, journal: Journal | None, *, dense: Sequence[Evaluated | None],
                 leads: bool = True) -> None:
        assert isinstance(spec.pattern, Blocks), "other patterns have a pass of their own"
        assert isinstance(spec.method, StructureScore), "refused by the spec"
        self.spec, self.opened, self.meter, self.method = spec, opened, meter, spec.method
        self.dense, self.leads, self.journal = dense, leads, journal
        self.block_map = chosen_layers(opened.block_map, spec)  # of those who share the reading: blocks go with the layers that are skipped
        self.blocks, self.total = len(opened.block_map.blocks), sum(map(len, opened.block_map.linears))
        self.stay = staying(opened.block_map, spec)
        self.count = spec.pattern.number(self.blocks, len(self.stay))
        self.work = work_of(spec, opened, opened.block_map, dense_known=None not in self.dense or not leads)
        meter.expected = self.work.total
        self.records: list[LayerRecord] = []
        self._choice = Choice(removed=(), scores={}, tokens=0)

    def begin(self) -> Iterator[Event]:
        """The scores of the blocks, of the dense model, and the choice of those that go."""
        yield Started(blocks=self.blocks, layers=self.total)
        self._choice = yield from self._choose()

    def enter(self, calibrator: Stream, evaluators: Sequence[Stream]) -> None:
        """Bring the evaluation texts before the first block."""
        with self.meter.stage("forward"):
            self.texts = EvaluatedTexts(self.opened, evaluators, self.dense, measures_dense=self.leads)

    def push_dense(self, block: int) -> Iterator[Event]:
        """The evaluation texts through the dense block, where its perplexities are to be measured."""
        if None in self.dense:
            yield self.progress("evaluate", block)
            self.texts.push_dense(block, self._push)

    def block(self, block: int, calibrator: Stream) -> Iterator[Event]:
        """Bring the texts behind a block that is dense now, or leave it out."""
        yield self.progress("evaluate", block)
        if block not in self._choice.removed:
            self.texts.push_pruned(block, self._push)
        for linear in self.opened.block_map.linears[block]:
            self.records.append(_record(linear, gone=block in self._choice.removed, tokens=self._choice.tokens))
            yield LayerPruned(layer=self.records[-1], done=len(self.records), layers=self.total)

    def result(self, measured: Sequence[TextResult]) -> RunResult:
        """Record of the run, with its perplexities on each text."""
        return run_result(self.spec, self.opened, self.meter, self.records, measured, resumed=0,
                          notes=self.opened.block_map.notes, shape=self._shape())

    def _choose(self) -> Generator[Event, None, Choice]:
        known, rounds = self._known(), rounds_of(self.method, self.count)
        self.meter.advance(self.work.allocate * len(known) / rounds, skipped=True)
        turns = choose_blocks(self.opened, self.opened.block_map, self.method, self.count, self.stay, known=known, keep=self._keep)
        while True:
            try:
                with self.meter.stage("score"):
                    block = next(turns)
            except StopIteration as end:
                return end.value
            self.meter.advance(self.work.allocate / rounds / self.blocks)
            yield self.progress("calibrate", block)

    def _known(self) -> list[ScoredRound]:
        """Finished rounds of the journal."""
        found = list[ScoredRound]()
        while self.journal and len(found) < rounds_of(self.method, self.count):
            state = self.journal.read(len(found))
            if state is None or state.scored is None:
                break
            found.append(state.scored)
        return found

    def _keep(self, number: int, done: ScoredRound) -> None:
        if self.journal:
            self.opened.inputs.check()
            self.journal.write(number, BlockState(layers=(), weights={}, scored=done))

    def _shape(self) -> RemovedShape:
        choice = self._choice
        parameters = parameter_count(self.opened.model)
        removed = sum(parameter_count(self.opened.block_map.blocks[block]) for block in choice.removed)
        return RemovedShape(unit="blocks", blocks=choice.removed, scores=dict(choice.scores), score=self.method.score_label,
                            tokens=choice.tokens, parameters=parameters, removed=removed)

    def _push(self, stream: Stream, block: int, hidden: Tensor, what: str, share: float) -> None:
        with self.meter.stage("evaluate"), stream.on_device(block):
            for batch in batches(hidden):
                batch.copy_(stream.forward(block, batch))
            require_finite(hidden, f"Block {block + 1} of {self.blocks}, {what}")
        self.meter.advance(self.work.evaluate * share / self.blocks)

    def progress(self, stage: Any, block: int) -> Progress:
        """A progress event of this moment."""
        return Progress(stage=stage, block=block, blocks=self.blocks, fraction=self.meter.fraction, seconds=self.meter.seconds,
                        seconds_left=self.meter.seconds_left)


def _record(linear: Linear, *, gone: bool, tokens: int) -> LayerRecord:
    """A layer that is gone has lost all of its output, one that stays nothing."""
    lost = float(gone)
    return LayerRecord(name=linear.name, block=linear.block, module=linear.module, shape=(linear.rows, linear.columns),
                       counted_sparsity=lost, relative_error=lost, optimum_error=lost, seconds=0.0, tokens=tokens)

