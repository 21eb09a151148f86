"""The pass over a whole model: `prune(spec)` yields events, block by block.

    (where asked: the dense model looked at first ─► what errors of outputs cost, each layer's share of the zeros, core/run/sensitivity.py)
    for each decoder block
        dense evaluation activations ─► through the dense block
        calibration activations      ─► through the dense block, its distinct inputs summed into Gram matrices
                                        (error propagation: the dense model's beside them, core/run/propagation.py)
        every layer solved, written  ─► one Gram and one factorisation for all layers that share an input
        (where asked: the block's kept weights trained, core/run/reconstruction.py)
        calibration and pruned evaluation activations ─► through the pruned block
    final norm and head ─► dense and pruned perplexity

Nothing is kept but the activations [windows, L, d]; a block's weights, Gram matrices and factors go when it is done. Where a
journal has a finished block, its weights are written instead of solved for, and the result has the same bits.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from torch import Tensor

from core.layer.optimum import estimated_optimum
from core.layer.problem import LayerProblem
from core.models.blocks import Linear
from core.models.cost import optimum_sample
from core.models.device import choose_device
from core.models.inputs import require_same
from core.models.open_model import OpenModel, batches, embed, open_model
from core.models.placement import Streaming
from core.models.streaming import Stream
from core.records import BlockFinished, Event, Finished, LayerPruned, LayerRecord, Progress, Revisions, Started
from core.run.collecting import collecting_stages, written
from core.run.evaluated_texts import EvaluatedTexts, Known, known_dense
from core.run.evaluation import require_finite
from core.run.journal import BlockState, Journal
from core.run.layer_choice import chosen_layers
from core.run.layer_problems import layer_problems
from core.run.one_layer import solve_for_run
from core.run.planning import planned_layers, work_of
from core.run.progress import Meter
from core.run.propagation import DenseActivations, collect
from core.run.reconstruction import Reconstruction
from core.run.results import layer_record, run_result
from core.run.sensitivity import SensitivityPass
from core.spec import RunSpec
from core.spec.errors import LESS_MEMORY, memory_told


def prune(spec: RunSpec, *, journal: Journal | None = None, dense: Known = None, expected: Revisions | None = None,
          streaming: Streaming | None = None, limit: int | None = None) -> Iterator[Event]:
    """Prune a model and measure it; the last event is `Finished`. Close the iterator to stop: nothing is left behind.

    `journal` keeps finished blocks and makes a rerun continue at the next one. `dense` is the unpruned model's perplexity under the same
    protocol where it is known, window by window (without its losses it is measured again); a sequence where there are several evaluation
    texts, None for what is not known. `expected`: the revisions to which these belong. `streaming` and `limit`, bytes of memory, decide
    what is held in memory, not the numbers (core/models/placement.py).
    Raises PruneError for what a person can mend, InputChanged where model or texts are not those expected or change meanwhile.
    """
    meter = Meter(device := choose_device(spec.device))
    yield Progress(stage="load", block=0, blocks=0, fraction=0.0, seconds=meter.seconds)
    with memory_told("pruning", LESS_MEMORY):
        with meter.stage("load"):
            opened = open_model(spec, device, streaming, limit)
            if expected is not None:
                require_same(expected.addresses, opened.inputs.addresses, spec)
        yield from _Pass(spec, opened, meter, journal, dense).run()


class _Pass:
    """One pass over the blocks. Holds the activations; everything else is local to a block."""

    def __init__(self, spec: RunSpec, opened: OpenModel, meter: Meter, journal: Journal | None, dense: Known) -> None:
        self.spec, self.opened, self.meter, self.journal = spec, opened, meter, journal
        self.dense = known_dense(dense, len(opened.evaluations))
        self.block_map = chosen_layers(opened.block_map, spec)
        planned_layers(self.block_map, spec)  # refuses a pattern that does not fit before anything is computed
        self.blocks, self.total = len(self.block_map.blocks), sum(map(len, self.block_map.linears))
        self.places = {linear.name: place for place, linear in enumerate(sum(self.block_map.every, ()))}
        self.records: list[LayerRecord] = []
        self.reconstruction = Reconstruction(spec, meter, opened.room)
        self.work = work_of(spec, opened, self.block_map, dense_known=None not in self.dense)
        meter.expected = self.work.total
        self.ahead = SensitivityPass(spec, meter)
        self.inherited: DenseActivations | None = None  # where errors are propagated, or blocks aim at the dense model

    def run(self) -> Iterator[Event]:
        opened, meter = self.opened, self.meter
        kept: list[tuple[LayerRecord, ...]] = []  # not the weights: each block's are read again at its turn
        while self.journal and len(kept) < self.blocks and (state := self.journal.read(len(kept))) is not None:
            kept.append(state.layers)
        done, state = len(kept), None
        yield Started(blocks=self.blocks, layers=self.total, resumed_blocks=done)
        yield from (LayerPruned(layer=record, done=count, layers=self.total) for count, record in enumerate(chain(*kept), 1))
        if done < self.blocks:
            for block in self.ahead.look(opened, self.block_map, self.work):
                yield self._progress("calibrate", block)
        with opened.streams(self.block_map) as (calibrator, *evaluators):
            with meter.stage("forward"):
                self.calibration = embed(calibrator, opened.calibration.tokens, opened.room)
                texts = EvaluatedTexts(opened, evaluators, self.dense)
                if (self.spec.propagation or self.reconstruction.aims_at_model) and done < self.blocks:
                    self.inherited = DenseActivations(calibrator, self.calibration, opened.room)
            for block in range(self.blocks):
                with calibrator.on_device(block):
                    yield from self._block(block, calibrator, texts, resumed=block < done)
                yield BlockFinished(block=block, blocks=self.blocks)
            yield self._progress("evaluate", self.blocks - 1)
            with meter.stage("evaluate"):
                measured = texts.results()
        opened.inputs.check()
        yield Finished(result=run_result(self.spec, opened, meter, self.records, measured, resumed=done,
                                         reconstruction=self.reconstruction.records, notes=self.block_map.notes))

    def _block(self, block: int, calibrator: Stream, texts: EvaluatedTexts, *, resumed: bool) -> Iterator[Event]:
        share = 1 / self.blocks
        if None in self.dense:
            yield self._progress("evaluate", block)
            texts.push_dense(block, self._evaluate)
        if self.inherited:
            self.inherited.enter(self.block_map.linears[block])
        state = self.journal.read(block) if self.journal and resumed else None
        if state is None:
            yield from self._solve_block(block, calibrator)
        else:
            self._take_over(block, state)
            del state
        yield self._progress("push", block)
        self._push(calibrator, block, self.calibration, "forward", self.work.push * share, what="pruned model, calibration text")
        yield self._progress("evaluate", block)
        texts.push_pruned(block, self._evaluate)

    def _take_over(self, block: int, state: BlockState) -> None:
        """A block that was finished before."""
        if self.inherited:
            with self.meter.stage("forward"):
                self.inherited.leave(block)
        for linear in self.block_map.linears[block]:
            linear.write(state.weights[linear.name])
        self.records.extend(state.layers)
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
                yield self._progress("collect", block)
                with self.meter.stage("collect"):
                    inputs = collect(calibrator, block, self.calibration, chunk, self.inherited, beside=bool(self.spec.propagation),
                                     last=chunk is stages[-1][-1])
                self.meter.advance(self.work.collect / self.blocks / sum(map(len, stages)))
                asked = (layer_problems(groups[index], inputs.pop(index), self.spec.propagation, self.ahead.take_weights, calibrator.device)
                         for index in chunk)
                for linear, problem in chain.from_iterable(asked):
                    yield self._progress("solve", block, linear)
                    record, pruned = self._solve_layer(problem, linear)
                    weights[linear.name] = written(linear, pruned) if len(stage) == 1 else pruned  # no second copy of the block
                    records.append(record)
                    self.meter.advance(self.work.solve / self.total)
                    yield LayerPruned(layer=record, done=len(self.records) + len(records), layers=self.total)
            for linear in (linear for chunk in stage for index in chunk for linear in groups[index] if len(stage) > 1):
                weights[linear.name] = written(linear, weights[linear.name])
        self.records.extend(records)
        yield from self.reconstruction.train(calibrator, block, self.calibration, self.inherited, self.work.reconstruct / self.blocks,
                                             lambda: self._progress("reconstruct", block))
        if self.journal:
            self.opened.inputs.check()
            with self.meter.stage("journal"):
                self.journal.write(block, BlockState(layers=tuple(records), weights=weights,
                                                     reconstruction=self.reconstruction.of(block)))

    def _solve_layer(self, problem: LayerProblem, linear: Linear) -> tuple[LayerRecord, Tensor]:
        with self.meter.stage("solve"):
            solution = solve_for_run(problem, self.spec, self.ahead.pattern(linear, problem.tokens), self.places[linear.name])
        with self.meter.stage("optimum"):
            best = estimated_optimum(problem, solution, optimum_sample(self.spec, linear.rows, linear.columns, problem.tokens))
        return layer_record(linear, solution, best, problem.tokens), solution.weight

    def _evaluate(self, stream: Stream, block: int, hidden: Tensor, what: str, share: float) -> None:
        self._push(stream, block, hidden, "evaluate", self.work.evaluate * share / self.blocks, what=what)

    def _push(self, stream: Stream, block: int, hidden: Tensor, stage: str, work: float, *, what: str) -> None:
        """All windows through the block, in place."""
        with self.meter.stage(stage), stream.on_device(block):
            for batch in batches(hidden):
                batch.copy_(stream.forward(block, batch))
            require_finite(hidden, f"Block {block + 1} of {self.blocks}, {what}")
        self.meter.advance(work)

    def _progress(self, stage: Any, block: int, linear: Linear | None = None) -> Progress:
        return Progress(stage=stage, block=block, blocks=self.blocks, layer=linear.name if linear else None,
                        fraction=self.meter.fraction, seconds=self.meter.seconds, seconds_left=self.meter.seconds_left)
