"""One run's pass over the blocks of an open model: its activations, records and journal. core/run/pipeline.py drives it.

    for each decoder block, dense when its turn comes
        calibration activations      ─► through the dense block, its distinct inputs summed into Gram matrices
                                        (error propagation: the dense model's beside them, core/run/propagation.py)
        every layer solved, written  ─► one Gram and one factorization for all layers that share an input
        (where asked: the block's kept weights trained, core/run/reconstruction.py)
        calibration and pruned evaluation activations ─► through the pruned block

Nothing is kept but the activations [windows, L, d]; a block's weights, Gram matrices and factors go when it is done. Where a
journal has a finished block, its weights are written instead of solved for, and the result has the same bits.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from torch import Tensor

from core.layer.problem import LayerProblem
from core.models.blocks import Linear, parameter_count
from core.models.cost import optimum_sample
from core.models.grams import input_statistics
from core.models.open_model import OpenModel, batches, embed
from core.models.streaming import Stream
from core.records import Evaluated, Event, LayerPruned, LayerRecord, Progress, RunResult, Started, TextResult
from core.run.collecting import FirstGrams, collecting_stages, written
from core.run.evaluated_texts import EvaluatedTexts
from core.run.evaluation import require_finite
from core.run.journal import BlockState, Journal
from core.run.layer_choice import chosen_layers
from core.run.layer_problems import layer_problems
from core.run.one_layer import solved_layer
from core.run.planning import planned_layers, work_of
from core.run.progress import Meter
from core.run.propagation import DenseActivations, collect
from core.run.reconstruction import Reconstruction
from core.run.results import run_result
from core.run.sensitivity import SensitivityPass
from core.run.units import going_units
from core.spec import RunSpec


class BlockPass:
    """One run's pass. Holds its activations; everything else is local to a block.

    `leads`: measures the dense model, whose perplexities the others that share its reading are given at the end. `first`: of the runs that
    share the reading, and write into the same layers after this one; None for a run alone.
    """

    def __init__(self, spec: RunSpec, opened: OpenModel, meter: Meter, journal: Journal | None, *, dense: Sequence[Evaluated | None],
                 leads: bool = True, first: FirstGrams | None = None) -> None:
        self.spec, self.opened, self.meter, self.journal = spec, opened, meter, journal
        self.dense, self.leads, self._first = dense, leads, first
        self.block_map = chosen_layers(opened.block_map, spec)
        planned_layers(self.block_map, spec, opened.model)  # refuses a pattern that does not fit before anything is computed
        self.blocks, self.total = len(self.block_map.blocks), sum(map(len, self.block_map.linears))
        self.places = {linear.name: place for place, linear in enumerate(sum(self.block_map.every, ()))}
        self.evaluated = sum(text.tokens.numel() for text in opened.evaluations)
        self.records: list[LayerRecord] = []
        self.resumed = 0
        self.reconstruction = Reconstruction(spec, meter, opened.room)
        self.work = work_of(spec, opened, self.block_map, dense_known=None not in self.dense or not leads)
        meter.expected = self.work.total
        self.ahead = SensitivityPass(spec, meter)
        self.units = going_units(opened.model, self.block_map, spec)
        self.inherited: DenseActivations | None = None  # where errors are propagated, or blocks aim at the dense model

    def begin(self) -> Iterator[Event]:
        """Finished blocks of the journal, and the look at the dense model before the first block, where one is asked for."""
        kept: list[tuple[LayerRecord, ...]] = []  # not the weights: each block's are read again at its turn
        while self.journal and len(kept) < self.blocks and (state := self.journal.read(len(kept))) is not None:
            kept.append(state.layers)
        self.resumed, state = len(kept), None
        yield Started(blocks=self.blocks, layers=self.total, resumed_blocks=self.resumed)
        yield from (LayerPruned(layer=record, done=count, layers=self.total) for count, record in enumerate(chain(*kept), 1))
        if self.resumed < self.blocks:
            for block in self.ahead.look(self.opened, self.block_map, self.work, self.units):
                yield self.progress("calibrate", block)

    def enter(self, calibrator: Stream, evaluators: Sequence[Stream]) -> None:
        """Bring all texts before the first block."""
        with self.meter.stage("forward"):
            self.calibration = embed(calibrator, self.opened.calibration.tokens, self.opened.room)
            self.texts = EvaluatedTexts(self.opened, evaluators, self.dense, measures_dense=self.leads)
            if (self.spec.propagation or self.reconstruction.aims_at_model) and self.resumed < self.blocks:
                self.inherited = DenseActivations(calibrator, self.calibration, self.opened.room)

    def push_dense(self, block: int) -> Iterator[Event]:
        """The evaluation texts through the dense block, where its perplexities are to be measured."""
        if None in self.dense:
            yield self.progress("evaluate", block)
            self.texts.push_dense(block, self._evaluate)

    def block(self, block: int, calibrator: Stream) -> Iterator[Event]:
        """Prune a block that is dense now, and bring the texts behind it."""
        share = 1 / self.blocks
        if self.inherited:
            self.inherited.enter(self.block_map.linears[block])
        state = self.journal.read(block) if self.journal and block < self.resumed else None
        if state is None:
            yield from self._solve_block(block, calibrator)
        else:
            self._take_over(block, state)
            del state
        yield self.progress("push", block)
        self._push(calibrator, block, self.calibration, "forward", self.work.push * share, what="pruned model, calibration text")
        yield self.progress("evaluate", block)
        self.texts.push_pruned(block, self._evaluate)

    def result(self, measured: Sequence[TextResult]) -> RunResult:
        """Record of the run, with its perplexities on each text."""
        return run_result(self.spec, self.opened, self.meter, self.records, measured, resumed=self.resumed,
                          reconstruction=self.reconstruction.records, notes=self.block_map.notes,
                          shape=self.units.shape(parameter_count(self.opened.model)) if self.units else None)

    def _take_over(self, block: int, state: BlockState) -> None:
        """A block that was finished before."""
        if self.inherited:
            with self.meter.stage("forward"):
                self.inherited.leave(block)
        for linear in self.block_map.linears[block]:
            linear.write(state.weights[linear.name])
        self.records.extend(self.units.finish(block, state.layers) if self.units else state.layers)
        self.reconstruction.take_over(state)
        self.meter.advance((self.work.collect + self.work.solve + self.work.reconstruct) / self.blocks, skipped=True)

    def _solve_block(self, block: int, calibrator: Stream) -> Iterator[Event]:
        """Collect and solve; with `true_sequential`, one stage at a time, each seeing the pruned ones before it."""
        groups = calibrator.groups(block)
        stages = collecting_stages(groups, true_sequential=self.spec.true_sequential)
        weights, records = dict[str, Tensor](), list[LayerRecord]()
        self.reconstruction.enter(calibrator, block, self.calibration)
        for stage in stages:
            for chunk in stage:
                yield self.progress("collect", block)
                with self.meter.stage("collect"):
                    inputs = collect(calibrator, block, self.calibration, chunk, self.inherited, beside=bool(self.spec.propagation),
                                     last=chunk is stages[-1][-1],
                                     collect_alone=self._first.collect if self._first and not block and stage is stages[0] else
                                     input_statistics)
                self.meter.advance(self.work.collect / self.blocks / sum(map(len, stages)))
                asked = (layer_problems(groups[index], inputs.pop(index), self.spec.propagation, self.ahead.take_weights, calibrator.device)
                         for index in chunk)
                for linear, problem in chain.from_iterable(asked):
                    yield self.progress("solve", block, linear)
                    record, pruned = self._solve_layer(problem, linear)
                    weights[linear.name] = written(linear, pruned) if len(stage) == 1 else pruned  # no second copy of the block
                    records.append(record)
                    self.meter.advance(self.work.solve / self.total)
                    yield LayerPruned(layer=record, done=len(self.records) + len(records), layers=self.total)
            for linear in (linear for chunk in stage for index in chunk for linear in groups[index] if len(stage) > 1):
                weights[linear.name] = written(linear, weights[linear.name])
        self.records.extend(records := self.units.finish(block, records) if self.units else records)
        yield from self.reconstruction.train(calibrator, block, self.calibration, self.inherited, self.work.reconstruct / self.blocks,
                                             lambda: self.progress("reconstruct", block))
        if self.journal:
            self.opened.inputs.check()
            with self.meter.stage("journal"):
                kept = weights if self._first is None else {name: weight.clone() for name, weight in weights.items()}
                self.journal.write(block, BlockState(layers=tuple(records), weights=kept,
                                                     reconstruction=self.reconstruction.of(block)))

    def _solve_layer(self, problem: LayerProblem, linear: Linear) -> tuple[LayerRecord, Tensor]:
        if self.units:
            self.units.note(problem, linear)
        pattern = (self.units or self.ahead).pattern(linear, problem.tokens)
        spec = self.units.spec(linear, self.spec) if self.units else self.spec
        sample = optimum_sample(self.spec, linear.rows, linear.columns, problem.tokens, self.evaluated)
        return solved_layer(problem, linear, spec, pattern, self.places[linear.name], self.meter, sample)

    def _evaluate(self, stream: Stream, block: int, hidden: Tensor, what: str, share: float) -> None:
        self._push(stream, block, hidden, "evaluate", self.work.evaluate * share / self.blocks, what=what)

    def _push(self, stream: Stream, block: int, hidden: Tensor, stage: str, work: float, *, what: str) -> None:
        """All windows through the block, in place."""
        with self.meter.stage(stage), stream.on_device(block):
            for batch in batches(hidden):
                batch.copy_(stream.forward(block, batch))
            require_finite(hidden, f"Block {block + 1} of {self.blocks}, {what}")
        self.meter.advance(work)

    def progress(self, stage: Any, block: int, linear: Linear | None = None) -> Progress:
        """A progress event of this moment."""
        return Progress(stage=stage, block=block, blocks=self.blocks, layer=linear.name if linear else None,
                        fraction=self.meter.fraction, seconds=self.meter.seconds, seconds_left=self.meter.seconds_left)
