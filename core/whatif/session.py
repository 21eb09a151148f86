"""A dense model lying open with the Gram matrices of its layers: what-ifs on a layer, and previews of a run, need nothing else.

    Session ─► problem(name)  one layer as W and G; any method answers for it without the model
            ─► preview(spec)  every layer solved from the dense model's Grams, perplexity on a few windows

A preview differs from a run in two ways, and says so: its Gram matrices are those of the dense model (a run collects them anew
after pruning the blocks before), and its perplexity is measured on the first windows of the evaluation text only. Where layers differ
in sparsity, it estimates how the run will share out the zeros (core/whatif/allocation_estimate.py).
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from threading import Lock
from typing import ClassVar, TypeVar

from torch import Tensor

from core.layer.optimum import Optimum, Sample, estimated_optimum, quick_sample
from core.layer.problem import LayerProblem
from core.layer.solution import LayerSolution
from core.models.blocks import Linear
from core.models.cost import matrix_rate, solve_seconds
from core.models.grams import GramStore
from core.models.open_model import OpenModel
from core.records import Evaluated, LayerRecord
from core.records.previews import BASE, ROWS, LayerInfo, Preview
from core.run.layer_choice import own_patterns
from core.run.results import layer_record
from core.spec import RunSpec
from core.spec.errors import BadInput
from core.spec.patterns import Pattern
from core.whatif.allocation_estimate import AllocationEstimate
from core.whatif.first_look import FirstLook, first_look, solved_after
from core.whatif.fisher_cache import FisherCache
from core.whatif.model_windows import ModelWindows
from core.whatif.over_layers import drained, over_layers
from core.whatif.problems import layer_problems
from core.whatif.row_sampling import sampled
from core.whatif.solution_memory import LOOK_BYTES, SolutionMemory, bytes_of, remembered_solutions

AT_ONCE = 1.5  # seconds that solving all layers may be estimated at (one to three times what it takes) for a preview without samples

Made = TypeVar("Made")


class Session:
    """Holds the model, its Gram matrices, and what was computed from these alone (factors). `whole`: it answers for the whole model.

    Any number of threads may ask about layers (problem, solve, record); of those that let the model compute (preview, perplexity,
    sensitivity, Fisher weighting), one at a time.
    """

    whole: ClassVar[bool] = True

    def __init__(self, opened: OpenModel, store: GramStore | None = None, *, problems: Mapping[str, LayerProblem] | None = None) -> None:
        self.opened = opened
        self.wanted: Callable[[], bool] = lambda: True
        self.linears: dict[str, Linear] = {linear.name: linear for block in opened.block_map.linears for linear in block}
        if problems is None:
            opened.model.to(opened.device)  # it stays there: what-ifs are answered by all of it at once
        self._problems = layer_problems(opened, self.linears, store) if problems is None else problems
        self._windows = ModelWindows(opened, self.linears)
        self._dense: list[Evaluated] = []  # one, once it is measured
        self._outputs, self._weighing = FisherCache(opened), Lock()
        self._sharing = AllocationEstimate(self._problems, self.linears, opened.calibration.tokens)
        self._solved = remembered_solutions()
        self._looks = SolutionMemory[FirstLook](lambda look: bytes_of(look.solution), lambda: LOOK_BYTES)

    def until(self, wanted: Callable[[], bool]) -> Session:
        """The same session, all it holds shared, for somebody who may leave: `wanted` is looked at between the steps of a method, and
        where it says no, what is being computed there ends with Cancelled."""
        own = copy(self)
        own.wanted = wanted
        return own

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """All layers that can be pruned, in the order they run."""
        return tuple(LayerInfo(name=linear.name, block=linear.block, module=linear.module, rows=linear.rows, columns=linear.columns)
                     for linear in self.linears.values())

    def problem(self, name: str) -> LayerProblem:
        """One layer. Raises BadInput for a name that the model does not have."""
        if name not in self._problems:
            some = ", ".join(list(self._problems)[:3])
            raise BadInput("layer", name, f"one of this model's {len(self._problems)} layers: {some}, …", "Choose a layer from the map.")
        return self._problems[name]

    def preview(self, spec: RunSpec, *, at_once: bool = False) -> Preview:
        """Estimate of a run of `spec`. Only method, pattern and what belongs to them are read from the spec.

        `at_once`: where solving every layer would take too long, by a few rows of each (core/whatif/row_sampling.py).
        """
        started = time.perf_counter()
        patterns = self.patterns(spec)
        specs = {name: spec.model_copy(update={"pattern": pattern}) for name, pattern in patterns.items()}
        few = at_once and self._seconds(specs) > AT_ONCE
        self.weigh(spec, coupled=spec.method.couples and not few)
        solved = self._sample(specs) if few else self.over_layers(lambda name: self._solved_and_recorded(name, specs[name]), specs)
        layers = tuple(record for _, record in solved.values())
        zeros = sum(layer.counted_sparsity * layer.parameters for layer in layers)
        return Preview(spec=spec, layers=layers, dense=self.dense, pruned=self.perplexity({name: new for name, (new, _) in solved.items()}),
                       calibration=self.opened.calibration.description, rows=ROWS if few else None,
                       counted_sparsity=zeros / sum(layer.parameters for layer in layers), seconds=time.perf_counter() - started)

    def weigh(self, spec: RunSpec, *, coupled: bool | None = None) -> None:
        """Measure what the outputs of all layers count, where `spec` asks for it and it is not known. The model computes."""
        if spec.fisher:
            with self._weighing:
                drained(self._outputs.measure(coupled=spec.method.couples if coupled is None else coupled), self.wanted)

    def weighed(self, name: str, spec: RunSpec) -> LayerProblem:
        """One layer with the weights of its outputs, as a run of `spec` would prune it."""
        problem = self.problem(name)
        if not spec.fisher:
            return problem
        self.weigh(spec)
        return problem.with_weight(problem.weight, name, self._outputs.of(name, spec.fisher, coupled=spec.method.couples))

    def _solved_and_recorded(self, name: str, spec: RunSpec) -> tuple[Tensor, LayerRecord]:
        solution = self.solve(name, spec)
        return solution.weight, self.record(name, solution, Optimum(error=None) if spec.no_optimum else None)

    def _sample(self, specs: Mapping[str, RunSpec]) -> dict[str, tuple[Tensor, LayerRecord]]:
        """Weights as far off as each layer's spec would make them, and the errors to expect.

        On three cores: the systems are small, and a fourth thread would mostly wait for the interpreter.
        """
        base_of = {"method": BASE, "update": "own", "refit": False}

        def one(name: str) -> tuple[Tensor, LayerRecord]:
            spec, started = specs[name], time.perf_counter()
            all_rows = spec.model_copy(update=base_of)
            base = self.solve(name, all_rows)
            guess = sampled(self.problem(name), base, spec.method, spec.pattern, update=spec.update, refit=spec.refit)
            best = Optimum(error=None if spec.no_optimum else guess.optimum_error)
            return guess.weight, self.record(name, base, best).model_copy(update={
                "relative_error": guess.relative_error, "counted_sparsity": guess.counted_sparsity, "damping": guess.damping,
                "seconds": time.perf_counter() - started})

        return self.over_layers(one, specs, at_once=3)

    def _seconds(self, specs: Mapping[str, RunSpec]) -> float:
        """Estimated seconds to solve all layers."""
        rate = matrix_rate(self.opened.device)
        return sum(solve_seconds(spec, self.linears[name].rows, self.linears[name].columns, rate) for name, spec in specs.items())

    def patterns(self, spec: RunSpec) -> Mapping[str, Pattern]:
        """The own one of every layer that `spec` prunes; one layer asked for alone is solved with the spec's."""
        asked, even = own_patterns(self.opened.block_map, spec), spec.allocation != "marginal"
        shares = asked if even else self._sharing.patterns(spec, self.over_layers, self._over_parts)
        return {name: shares[name] for name in asked}

    def sensitivity(self, name: str) -> float:
        """κ of a layer, what a unit of its error costs the model [nats a token]: measured when it is first asked for."""
        return self._sharing.sensitivity(name, self._over_parts)

    def solve(self, name: str, spec: RunSpec) -> LayerSolution:
        """One layer, as a run of `spec` would solve it; the last solutions are remembered. Raises BadInput, IllConditioned."""
        return self._solved.made(name, spec, lambda: drained(solved_after(
            self.weighed(name, spec), spec, list(self.linears).index(name), self._looks.known(name, spec)), self.wanted))

    def first_look(self, name: str, spec: RunSpec) -> FirstLook:
        """The same from some of its rows, for large layers (core/whatif/first_look.py). Raises as `solve`."""
        return self._looks.made(name, spec, lambda: drained(first_look(self.weighed(name, spec), spec, list(self.linears).index(name)),
                                                            self.wanted))

    def over_layers(self, work: Callable[[str], Made], some: Collection[str] | None = None, *,
                    at_once: int | None = None) -> dict[str, Made]:
        """work(name) for every layer or `some`, in the order they run; layers of one input after one another on one core, which factors it
        once. On as many cores as torch uses, or on `at_once`."""
        return over_layers(self._problems, work, self.opened.device, self.wanted, some=some, at_once=at_once)

    def record(self, name: str, solution: LayerSolution, best: Optimum | None = None, *, exact: bool = False) -> LayerRecord:
        """Record of a solution of this layer; `best`: the optimum of its mask, or None: it is computed, of a large layer from some of its
        rows unless `exact`."""
        linear, problem = self.linears[name], self.problem(name)
        sample = Sample(rows=linear.rows) if exact else quick_sample(linear.rows, linear.columns)
        return layer_record(linear, solution, best or estimated_optimum(problem, solution, sample), problem.tokens)

    def row_energy(self, name: str) -> Tensor:
        """h_i [c] of a layer, over all calibration tokens."""
        return self.problem(name).row_energy()

    @property
    def dense(self) -> Evaluated:
        """The unpruned model on the preview's windows."""
        self._dense = self._dense or [self.perplexity({})]
        return self._dense[0]

    def perplexity(self, weights: Mapping[str, Tensor], count: int | None = None) -> Evaluated:
        """The model with these weights [out, in] in place of its own, on the first windows of the text: a preview's, or at most `count`."""
        return self._windows.perplexity(weights, self.wanted, count)

    def _over_parts(self, work: Callable[[Tensor, int], Made], parts: Sequence[Tensor]) -> list[Made]:
        return self._windows.over_parts(work, parts, self.wanted)
