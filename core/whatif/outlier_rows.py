"""Outlier rows: their share of the energy, and the effect of keeping them on columns, layer error and perplexity.

The control of every claim about outlier rows: as many rows drawn at random. A draw is one order of all rows of a layer, and α keeps
the first ⌈αc⌉ of it, so that the rows kept at a smaller α are among those kept at a greater one, as they are by energy.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import statistics
import time

import numpy as np
import torch
from torch import Tensor

from core.layer.outlier_rows import column_losses, control_rows, random_rows
from core.layer.problem import LayerProblem
from core.layer.solution import LayerSolution
from core.layer.steps import drain
from core.methods.solve import solve
from core.records.outlier_rows import ColumnFates, EnergyShare, LayerPoint, LayerRows, ModelPoint
from core.records.previews import is_large
from core.spec import RunSpec
from core.spec.alphas import with_alpha
from core.spec.patterns import Structured, outlier_count
from core.whatif.first_look import first_look
from core.whatif.session import Session

_RANKS = 1024  # rows of a layer that are told one by one, and as many evenly spaced ones after them


def solve_keeping(problem: LayerProblem, spec: RunSpec, keep_rows: Tensor | None = None) -> LayerSolution:
    """The layer as a run of `spec` would solve it, with these rows dense in place of those of most energy."""
    return solve(problem, spec.method, spec.pattern, update=spec.update, refit=spec.refit, keep_rows=keep_rows)


def energy_shares(session: Session, alpha: float) -> tuple[EnergyShare, ...]:
    """For every layer, the share of its energy in the ⌈αc⌉ rows of most energy. c·b² a layer, the first time."""
    return tuple(_share(session, info.name, outlier_count(info.rows, alpha)) for info in session.layers)


def _share(session: Session, name: str, count: int) -> EnergyShare:
    linear = session.linears[name]
    ordered = _shares(session.row_energy(name)).sort(descending=True).values
    return EnergyShare(name=name, block=linear.block, module=linear.module, rows=linear.rows, count=count,
                       share=float(ordered[:count].sum()), large=is_large(linear.rows, linear.columns))


def layer_rows(session: Session, name: str, spec: RunSpec, *, first: bool = False) -> LayerRows:
    """One layer's rows by energy, and what the method does with them kept and without; `first`: by first looks
    (core/whatif/first_look.py). Raises BadInput, IllConditioned."""
    problem = session.weighed(name, spec)
    shares, order = _shares(problem.row_energy()).sort(descending=True, stable=True)
    by_energy = spec.model_copy(update={"random_rows": None})

    def solved(one: RunSpec) -> tuple[LayerSolution, Tensor, float]:
        look = session.first_look(name, one) if first else None
        found = look.solution if look else solve_keeping(problem, one)
        return found, look.dense_rows if look else found.dense_rows, look.counted_sparsity if look else found.counted_sparsity

    solution, dense, counted = solved(by_energy)
    without, _, counted_without = (solution, dense, counted) if not spec.pattern.outlier_rows else solved(_at(by_energy, 0.0))
    ranks = _told(len(order))
    return LayerRows(
        name=name, shape=(len(order), problem.weight.shape[1]), tokens=problem.tokens, ranks=ranks, rows=order.cpu().numpy()[ranks],
        shares=shares.cpu().numpy()[ranks], cumulative=shares.cumsum(0).cpu().numpy()[ranks],
        dense_rows=tuple(map(int, dense.cpu().numpy())),
        held=float(shares[: len(dense)].sum()), error=solution.relative_error, counted_sparsity=counted,
        estimated=first, error_without=without.relative_error, counted_without=counted_without,
        columns=_fates(problem, dense, solution, without) if isinstance(spec.pattern, Structured) else None)


def layer_point(session: Session, name: str, spec: RunSpec, draws: int) -> LayerPoint:
    """A layer's error at the spec's α with the rows of most energy kept, and for each draw with random ones."""
    problem, place = session.weighed(name, spec), list(session.linears).index(name)
    count = outlier_count(len(problem.weight), spec.pattern.outlier_rows)
    if is_large(*problem.weight.shape):
        return _estimated_point(problem, spec, place, count, draws)
    solution = solve_keeping(problem, spec)
    random = [solve_keeping(problem, spec, random_rows(len(problem.weight), count, draw, place)).relative_error
              for draw in range(draws if count else 0)]
    return LayerPoint(alpha=spec.pattern.outlier_rows, count=count, counted_sparsity=solution.counted_sparsity,
                      error=solution.relative_error, random=tuple(random))


def _estimated_point(problem: LayerProblem, spec: RunSpec, place: int, count: int, draws: int) -> LayerPoint:
    """The same by first looks."""
    strongest = drain(first_look(problem, spec.model_copy(update={"random_rows": None}), place))
    drawn = [random_rows(len(problem.weight), count, draw, place) for draw in range(draws if count else 0)]
    random = [drain(first_look(problem, spec, place, keep_rows=rows)).solution.relative_error for rows in drawn]
    return LayerPoint(alpha=spec.pattern.outlier_rows, count=count, counted_sparsity=strongest.counted_sparsity,
                      error=strongest.solution.relative_error, random=tuple(random), estimated=True)


def model_point(session: Session, spec: RunSpec, draw: int | None, windows: int | None = None) -> ModelPoint:
    """All layers with the spec's α from the dense model's Gram matrices, and the perplexity of the first windows (None: a preview's)."""
    started = time.perf_counter()
    places = {name: place for place, name in enumerate(session.linears)}

    def one(name: str) -> LayerSolution:
        kept = control_rows(session.linears[name].rows, spec.pattern.outlier_rows, draw, places[name])
        return solve_keeping(session.weighed(name, spec), spec, kept)

    session.weigh(spec)
    solutions = session.over_layers(one)
    zeros = sum(solution.counted_sparsity * solution.weight.numel() for solution in solutions.values())
    entries = sum(solution.weight.numel() for solution in solutions.values())
    pruned = session.perplexity({name: solution.weight for name, solution in solutions.items()}, windows)
    return ModelPoint(
        alpha=spec.pattern.outlier_rows, draw=draw, pruned=pruned, counted_sparsity=zeros / entries,
        median_error=statistics.median(solution.relative_error for solution in solutions.values()),
        calibration=session.opened.calibration.description, seconds=time.perf_counter() - started)


def _shares(energy: Tensor) -> Tensor:
    """h_i over their sum, float64 [c]; nothing where the layer puts out nothing."""
    energy = energy.double().clamp(min=0)
    return energy / energy.sum().clamp(min=torch.finfo(energy.dtype).tiny)


def _told(rows: int) -> np.ndarray:
    """Ranks, from 0, of the rows that are told."""
    spaced = np.linspace(0, rows - 1, min(rows, 2 * _RANKS)).round().astype(np.int64)
    return np.union1d(np.arange(min(rows, _RANKS)), spaced)


def _at(spec: RunSpec, alpha: float) -> RunSpec:
    return spec.model_copy(update={"pattern": with_alpha(spec.pattern, alpha)})


def _fates(problem: LayerProblem, dense: Tensor, solution: LayerSolution, without: LayerSolution) -> ColumnFates:
    losses = column_losses(problem, dense).double()
    return ColumnFates(losses=(losses / losses.sum().clamp(min=torch.finfo(losses.dtype).tiny)).cpu().numpy(),
                       gone=_gone(solution), gone_without=_gone(without))


def _gone(solution: LayerSolution) -> np.ndarray:
    """bool [b]: columns that no row which was pruned still reads."""
    active = torch.ones(len(solution.pruned), dtype=torch.bool, device=solution.pruned.device)
    active[solution.dense_rows] = False
    return (solution.pruned[active].all(0) & active.any()).cpu().numpy()
