"""One layer as a run asks for it: `solve` with all that a RunSpec says of a layer."""

from __future__ import annotations

from collections.abc import Generator

from torch import Tensor

from core.layer.optimum import Optimum, Sample, estimated_optimum
from core.layer.outlier_rows import control_rows
from core.layer.problem import LayerProblem
from core.layer.solution import LayerSolution
from core.layer.steps import LazyStep, Step, drain
from core.methods.solve import steps
from core.models.blocks import Linear
from core.records import LayerRecord
from core.run.progress import Meter
from core.run.results import layer_record
from core.spec import RunSpec
from core.spec.patterns import Pattern


def steps_for_run(problem: LayerProblem, spec: RunSpec, pattern: Pattern, place: int) -> Generator[Step | LazyStep, None, LayerSolution]:
    """The steps of one layer with its own pattern. `place`: the layer's among all of the model, by which random rows are drawn.

    Raises what `solve` raises.
    """
    rows = control_rows(len(problem.weight), pattern.outlier_rows, spec.random_rows, place)
    return steps(problem, spec.method, pattern, update=spec.update, refit=spec.refit, keep_rows=rows)


def solve_for_run(problem: LayerProblem, spec: RunSpec, pattern: Pattern, place: int) -> LayerSolution:
    """The solution of `steps_for_run`."""
    return drain(steps_for_run(problem, spec, pattern, place))


def solved_layer(problem: LayerProblem, linear: Linear, spec: RunSpec, pattern: Pattern, place: int,
                 meter: Meter, sample: Sample | None) -> tuple[LayerRecord, Tensor]:
    """The record of a layer's solution with its optimum from a sample (None: not computed), and the new weight [c, b]; seconds of both go
    to the meter."""
    with meter.stage("solve"):
        solution = solve_for_run(problem, spec, pattern, place)
    if sample is None:
        return layer_record(linear, solution, Optimum(error=None), problem.tokens), solution.weight
    with meter.stage("optimum"):
        best = estimated_optimum(problem, solution, sample)
    return layer_record(linear, solution, best, problem.tokens), solution.weight
