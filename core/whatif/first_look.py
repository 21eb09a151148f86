"""First looks at large layers: the error of a layer from some of its rows, while the product ΔG of c×b×b for all of them takes seconds.

A method that moves no weight prunes the whole layer, in O(cb); its mask is exact, and only the error is an estimate. Any other prunes some
rows alone, one at random of each of as many bands, at the share that the layer's active rows lose.

    f̂      E · Σ_R(f_i/π_i) / Σ_R(h_i/π_i)        E: energy of the active rows over the layer's; R: the sample, π_i: the chance of row i

R is drawn in proportion to the energy where the mask is exact (core/layer/row_samples.py), else it is the rows that were pruned.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from core.layer.optimum import NARROW, PRODUCTS, Optimum, Sample, estimated_optimum
from core.layer.outlier_rows import control_rows
from core.layer.problem import LayerProblem
from core.layer.row_samples import banded_rows, likely_rows, ratio_estimate
from core.layer.solution import LayerSolution
from core.layer.steps import LazyStep, Step
from core.methods.solve import checked, outlier_rows, steps, unchecked_steps
from core.models.cost import solve_seconds
from core.records import LayerRecord
from core.records.previews import FIRST_ROWS, LayerEstimate, is_large
from core.run.one_layer import steps_for_run
from core.spec import RunSpec
from core.spec.patterns import outlier_count
from core.whatif.row_sampling import active_pattern

if TYPE_CHECKING:
    from core.whatif.session import Session

_ERROR_WORK = 1 << 34  # multiply-adds of the product that estimates an error: a tenth of a second on two cores
_FEWEST, _MOST = 32, 512  # rows of it
_OPTIMUM_ROWS = 32


@dataclass(frozen=True, kw_only=True, eq=False)
class FirstLook:
    """`solution` of the whole layer, or of `rows` alone (int64 [k], ascending); its relative error is the layer's by estimate from
    `sampled` rows, with the standard error `spread`. `dense_rows` [⌈αc⌉] of the layer."""

    solution: LayerSolution
    rows: Tensor | None
    dense_rows: Tensor
    sampled: int
    spread: float
    counted_sparsity: float
    scale: float = 1.0  # the layer's relative error over that of `rows` alone

    def record(self, session: Session, name: str, *, optimum: bool) -> LayerEstimate:
        """Record of the layer. `optimum`: with the least error for the mask, from a few rows."""
        best = self._optimum(session.problem(name)) if optimum else Optimum(error=None)
        told = session.record(name, self.solution, best)
        return LayerEstimate.model_validate({
            **dict(told), "counted_sparsity": self.counted_sparsity, "dense_rows": len(self.dense_rows), "error_rows": self.sampled,
            "error_spread": self.spread})

    def mask(self, rows: int) -> Tensor:
        """bool [c, b] of a layer with so many rows: each that was not pruned has the mask of the row pruned for its band, and none where it
        stays dense."""
        if self.rows is None:
            return self.solution.pruned
        nearest = torch.searchsorted((self.rows[1:] + self.rows[:-1]) / 2, torch.arange(rows, device=self.rows.device))
        mask = self.solution.pruned[nearest]
        mask[self.dense_rows] = False
        return mask

    def _optimum(self, problem: LayerProblem) -> Optimum:
        if self.rows is None:
            return estimated_optimum(problem, self.solution, Sample(rows=_OPTIMUM_ROWS))
        part = problem.with_weight(problem.weight[self.rows])
        alone = replace(self.solution, relative_error=self.solution.relative_error / self.scale) if self.scale else self.solution
        found = estimated_optimum(part, alone, Sample(rows=_OPTIMUM_ROWS))
        assert found.error is not None
        return Optimum(error=found.error * self.scale, rows=_OPTIMUM_ROWS, spread=(found.spread or 0.0) * self.scale)


def first_seconds(spec: RunSpec, rows: int, columns: int, rate: float) -> float:
    """Estimated seconds of a first look with its optimum, at a rate in multiply-adds a second."""
    work = solve_seconds(spec, min(rows, FIRST_ROWS), columns, rate)
    return work + (_ERROR_WORK + PRODUCTS * NARROW * columns**2) / rate


def solved_after(problem: LayerProblem, spec: RunSpec, place: int,
                 look: FirstLook | None) -> Generator[Step | LazyStep, None, LayerSolution]:
    """As `steps_for_run`, behind a first look: where its mask is the layer's, only the error is left to count."""
    if look is None or look.rows is not None or not spec.leaves_kept_weights:
        return (yield from steps_for_run(problem, spec, spec.pattern, place))
    return checked(problem, spec.method, look.solution)


def solution_without_error(session: Session, name: str, spec: RunSpec) -> LayerSolution:
    """The solution of a layer, for its weights and its mask: of a large one without its error, where that takes longer than they do."""
    return session.first_look(name, spec).solution if _exact_mask(session, name, spec) else session.solve(name, spec)


def record_at_once(session: Session, name: str, spec: RunSpec) -> LayerRecord:
    """The record that goes with it."""
    if _exact_mask(session, name, spec):
        return session.first_look(name, spec).record(session, name, optimum=False)
    return session.record(name, session.solve(name, spec))


def _exact_mask(session: Session, name: str, spec: RunSpec) -> bool:
    rows, columns = session.problem(name).weight.shape
    return spec.leaves_kept_weights and is_large(rows, columns)


def error_rows(columns: int) -> int:
    """Rows from which the error of a layer with so many inputs is estimated."""
    return max(_FEWEST, min(_MOST, _ERROR_WORK // columns**2))


def first_look(problem: LayerProblem, spec: RunSpec, place: int, *,
               keep_rows: Tensor | None = None) -> Generator[Step | LazyStep, None, FirstLook]:
    """The steps of a first look at a layer, as a run of `spec` would solve it. `keep_rows`: as in `solve`. Raises what `solve` raises."""
    pattern = spec.pattern
    kept = control_rows(len(problem.weight), pattern.outlier_rows, spec.random_rows, place) if keep_rows is None else keep_rows
    if spec.leaves_kept_weights:
        solution = yield from unchecked_steps(problem, spec.method, pattern, keep_rows=kept)
        return estimated(problem, solution)
    count = outlier_count(len(problem.weight), pattern.outlier_rows)
    dense = (outlier_rows(problem, count) if kept is None else kept).to(problem.weight.device)
    rows = banded_rows(len(problem.weight), FIRST_ROWS).to(dense.device)
    rows = rows[~torch.isin(rows, dense)]
    if not len(rows):
        return _untouched(problem, dense)
    part = problem.with_weight(problem.weight[rows], output_weight=_of_rows(problem.output_weight, rows))
    found = yield from steps(part, spec.method, active_pattern(pattern, *problem.weight.shape), update=spec.update, refit=spec.refit)
    chance = torch.full((len(rows),), len(rows) / (len(problem.weight) - count), dtype=torch.float64, device=rows.device)
    error, spread = _error(problem, part.row_errors(found.weight), rows, chance, dense, len(rows))
    return FirstLook(solution=replace(found, relative_error=error), rows=rows, dense_rows=dense, sampled=len(rows), spread=spread,
                     counted_sparsity=found.counted_sparsity * (1 - count / len(problem.weight)),
                     scale=error / found.relative_error if found.relative_error > 0 else 0.0)


def estimated(problem: LayerProblem, solution: LayerSolution) -> FirstLook:
    """The estimate of an unchecked solution's error."""
    count = error_rows(problem.weight.shape[1])
    rows, chance = likely_rows(problem, solution.dense_rows, count)
    error, spread = 0.0, 0.0
    if len(rows):
        part = problem.with_weight(problem.weight[rows])
        error, spread = _error(problem, part.row_errors(solution.weight[rows]), rows, chance, solution.dense_rows, count)
    return FirstLook(solution=replace(solution, relative_error=error), rows=None, dense_rows=solution.dense_rows, sampled=len(rows),
                     spread=spread, counted_sparsity=solution.counted_sparsity)


def _error(problem: LayerProblem, errors: Tensor, rows: Tensor, chance: Tensor, dense: Tensor, count: int) -> tuple[float, float]:
    """The layer's relative error from those [k] of some rows, and its standard error."""
    energy = problem.row_energy().double().clamp(min=0)
    ratio, spread = ratio_estimate(errors.double().clamp(min=0), energy[rows], chance, count)
    active = float(1 - energy[dense].sum() / energy.sum().clamp(min=torch.finfo(energy.dtype).tiny))
    return active * ratio, active * spread


def _of_rows(weights: Tensor | None, rows: Tensor) -> Tensor | None:
    if weights is None:
        return None
    return weights[rows] if weights.ndim == 1 else weights[rows][:, rows]


def _untouched(problem: LayerProblem, dense: Tensor) -> FirstLook:
    """All rows stay dense."""
    nothing = LayerSolution(weight=problem.weight, pruned=torch.zeros_like(problem.weight, dtype=torch.bool), relative_error=0.0,
                            seconds=0.0, dense_rows=dense)
    return FirstLook(solution=nothing, rows=None, dense_rows=dense, sampled=0, spread=0.0, counted_sparsity=nothing.counted_sparsity)
