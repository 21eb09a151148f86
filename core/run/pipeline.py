"""The pass over a whole model: `prune(spec)` yields events, block by block.

    (where asked: the dense model looked at first ─► what errors of outputs cost, each layer's share of the zeros, core/run/sensitivity.py)
    for each decoder block
        dense evaluation activations ─► through the dense block
        calibration activations      ─► through the dense block, its distinct inputs summed into Gram matrices
                                        (error propagation: the dense model's beside them, core/run/propagation.py)
        every layer solved, written  ─► one Gram and one factorisation for all layers that share an input
        calibration and pruned evaluation activations ─► through the pruned block
    final norm and head ─► dense and pruned perplexity

Nothing is kept but the activations [windows, L, d]; a block's weights, Gram matrices and factors go when it is done. Where a
journal has a finished block, its weights are written instead of solved for, and the result has the same bits.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from core.evaluate.perplexity import evaluated
from core.layer.optimum import optimum_error
from core.layer.problem import LayerProblem
from core.models.blocks import Linear, map_blocks
from core.models.cost import Work, count_work
from core.models.device import choose_device
from core.models.grams import InputStatistics, input_statistics
from core.models.inputs import require_same
from core.models.open_model import OpenModel, batches, embed, open_model
from core.models.streaming import Stream
from core.records import BlockFinished, Evaluated, Event, Finished, LayerPruned, LayerRecord, Progress, Revisions, Started
from core.run.evaluation import losses_of, require_finite
from core.run.journal import BlockState, Journal
from core.run.layer_problems import layer_problems
from core.run.one_layer import solve_for_run
from core.run.planning import model_shape, planned_layers
from core.run.progress import Meter
from core.run.propagation import DenseActivations
from core.run.results import layer_record, run_result
from core.run.sensitivity import SensitivityPass
from core.spec import RunSpec
from core.spec.errors import LESS_MEMORY, memory_told


def prune(spec: RunSpec, *, journal: Journal | None = None, dense: Evaluated | None = None,
          expected: Revisions | None = None) -> Iterator[Event]:
    """Prune a model and measure it; the last event is `Finished`. Close the iterator to stop: nothing is left behind.

    `journal` keeps finished blocks and makes a rerun continue at the next one. `dense` is the unpruned model's perplexity under the same
    protocol where it is known, window by window (without its losses it is measured again). `expected`: the revisions to which these
    belong. Raises PruneError for what a person can mend, InputChanged where model or texts are not those expected or change meanwhile.
    """
    meter = Meter(device := choose_device(spec.device))
    yield Progress(stage="load", block=0, blocks=0, fraction=0.0, seconds=meter.seconds)
    with memory_told("pruning", LESS_MEMORY):
        with meter.stage("load"):
            opened = open_model(spec, device)
            if expected is not None:
                require_same(expected.model_dump(), opened.inputs.addresses, spec)
        yield from _Pass(spec, opened, meter, journal, dense).run()


class _Pass:
    """One pass over the blocks. Holds the activations; everything else is local to a block."""

    def __init__(self, spec: RunSpec, opened: OpenModel, meter: Meter, journal: Journal | None, dense: Evaluated | None) -> None:
        self.spec, self.opened, self.meter, self.journal = spec, opened, meter, journal
        self.dense = dense if dense is not None and dense.losses is not None else None
        self.block_map = map_blocks(opened.model)
        planned_layers(self.block_map, spec.pattern)  # refuses a pattern that does not fit before anything is computed
        self.blocks = len(self.block_map.blocks)
        self.places = {linear.name: place for place, linear in enumerate(sum(self.block_map.linears, ()))}
        self.total = len(self.places)
        self.records: list[LayerRecord] = []
        self.work = self._work()
        meter.expected = self.work.total
        self.ahead = SensitivityPass(spec, meter)
        self.inherited: DenseActivations | None = None  # where errors are propagated

    def run(self) -> Iterator[Event]:
        opened, meter = self.opened, self.meter
        states = [self.journal.read(block) if self.journal else None for block in range(self.blocks)]
        done = next((block for block, state in enumerate(states) if state is None), self.blocks)
        yield Started(blocks=self.blocks, layers=self.total, resumed_blocks=done)
        kept = [record for state in states[:done] if state for record in state.layers]
        yield from (LayerPruned(layer=record, done=count, layers=self.total) for count, record in enumerate(kept, 1))
        if done < self.blocks:
            for block in self.ahead.look(opened, self.block_map, self.work):
                yield self._progress("calibrate", block)
        with (Stream(opened.model, self.block_map, opened.device, opened.calibration.tokens[:1]) as calibrator,
              Stream(opened.model, self.block_map, opened.device, opened.evaluation.tokens[:1]) as evaluator):
            with meter.stage("forward"):
                self.calibration = embed(calibrator, opened.calibration.tokens)
                self.evaluation = embed(evaluator, opened.evaluation.tokens)
                self.reference = None if self.dense else self.evaluation.clone()
                if self.spec.propagation and done < self.blocks:
                    self.inherited = DenseActivations(calibrator, self.calibration)
            for block in range(self.blocks):
                with calibrator.on_device(block):
                    yield from self._block(block, calibrator, evaluator, states[block] if block < done else None)
                states[block] = None
                yield BlockFinished(block=block, blocks=self.blocks)
            yield self._progress("evaluate", self.blocks - 1)
            with meter.stage("evaluate"):
                dtype = next(opened.model.parameters()).dtype
                dense = self.dense if self.reference is None else evaluated(
                    losses_of(evaluator, self.reference, opened.evaluation.tokens), opened.evaluation, dtype, model="the dense model")
                pruned = evaluated(losses_of(evaluator, self.evaluation, opened.evaluation.tokens), opened.evaluation, dtype,
                                   model="the pruned model")
        assert dense is not None
        opened.inputs.check()
        yield Finished(result=run_result(self.spec, opened, meter, self.records, dense, pruned, resumed=done, notes=self.block_map.notes))

    def _block(self, block: int, calibrator: Stream, evaluator: Stream, state: BlockState | None) -> Iterator[Event]:
        share = 1 / self.blocks
        if self.reference is not None:
            yield self._progress("evaluate", block)
            self._push(evaluator, block, self.reference, "evaluate", self.work.evaluate * share / 2, what="dense model, evaluation text")
        if self.inherited:
            self.inherited.enter(self.block_map.linears[block])
        if state is None:
            yield from self._solve_block(block, calibrator)
        else:
            if self.inherited:
                with self.meter.stage("forward"):
                    self.inherited.leave(block)
            for linear in self.block_map.linears[block]:
                linear.write(state.weights[linear.name])
            self.records.extend(state.layers)
            self.meter.advance((self.work.collect + self.work.solve) * share, skipped=True)
        yield self._progress("push", block)
        self._push(calibrator, block, self.calibration, "forward", self.work.push * share, what="pruned model, calibration text")
        yield self._progress("evaluate", block)
        self._push(evaluator, block, self.evaluation, "evaluate", self.work.evaluate * share / (1 if self.dense else 2),
                   what="pruned model, evaluation text")

    def _solve_block(self, block: int, calibrator: Stream) -> Iterator[Event]:
        """Collect and solve; with `true_sequential`, one group of layers at a time, each seeing the pruned ones before it."""
        groups = calibrator.groups(block)
        chunks = [[index] for index in range(len(groups))] if self.spec.true_sequential else [list(range(len(groups)))]
        weights: dict[str, Tensor] = {}
        records: list[LayerRecord] = []
        for chunk in chunks:
            yield self._progress("collect", block)
            with self.meter.stage("collect"):
                inputs = self._collect(calibrator, block, chunk, last=chunk is chunks[-1])
            self.meter.advance(self.work.collect / self.blocks / len(chunks))
            for index in chunk:
                asked = layer_problems(groups[index], inputs.pop(index), self.spec.propagation, self.ahead.take_weights, calibrator.device)
                for linear, problem in asked:
                    yield self._progress("solve", block, linear)
                    record, pruned = self._solve_layer(problem, linear)
                    linear.write(pruned)
                    records.append(record)
                    weights[linear.name] = pruned
                    self.meter.advance(self.work.solve / self.total)
                    yield LayerPruned(layer=record, done=len(self.records) + len(records), layers=self.total)
        self.records.extend(records)
        if self.journal:
            self.opened.inputs.check()
            with self.meter.stage("journal"):
                self.journal.write(block, BlockState(layers=tuple(records), weights=weights))

    def _collect(self, calibrator: Stream, block: int, groups: list[int], *, last: bool) -> dict[int, InputStatistics]:
        """Of groups of a block; with the dense model's inputs beside them, which leave the block with its last groups."""
        nothing_pruned = block == 0 and 0 in groups
        if self.inherited and not nothing_pruned:
            beside = self.inherited.batches(block, groups, push=last)
            return input_statistics(calibrator, block, self.calibration, groups, beside=beside)
        if self.inherited and last:
            self.inherited.leave(block)
        return input_statistics(calibrator, block, self.calibration, groups)

    def _solve_layer(self, problem: LayerProblem, linear: Linear) -> tuple[LayerRecord, Tensor]:
        with self.meter.stage("solve"):
            solution = solve_for_run(problem, self.spec, self.ahead.pattern(linear.name), self.places[linear.name])
        with self.meter.stage("optimum"):
            best = optimum_error(problem, solution)
        return layer_record(linear, solution, best, problem.tokens), solution.weight

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

    def _work(self) -> Work:
        opened = self.opened
        return count_work(model_shape(opened.model, self.block_map), self.spec, dense_known=self.dense is not None,
                          calibration_tokens=opened.calibration.tokens.numel(), evaluation_tokens=opened.evaluation.tokens.numel(),
                          window=opened.evaluation.tokens.shape[1])
