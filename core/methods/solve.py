"""A problem, a method and a pattern to a solution: `solve` drains the steps, the stepper records them.

    solve ─► steps ─► rows kept dense by α are set aside (here, so that every method can have α), the others weighed by output
                  ─► core.methods.<name>.kernel(active rows' problem, target, parameters): yields Step, returns Outcome
                  ─► another update's weights on that mask, or the exact refit, if asked (core/layer/updates.py)
                  ─► rows put back, cast to the layer's dtype, errors counted; rows that are worse than without an update are
                      refitted or refused (core/layer/divergence.py)
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.layer.divergence import checked_error, remedy
from core.layer.problem import LayerProblem
from core.layer.solution import LayerSolution
from core.layer.steps import Kernel, LazyStep, Outcome, Step, drain
from core.layer.updates import damped_update
from core.linalg.clock import now
from core.linalg.finite import finite
from core.spec.errors import BadInput, IllConditioned
from core.spec.methods import Method, make_method
from core.spec.methods.base import automatic_block_size
from core.spec.patterns import AnyPattern, Columns, Groups, Target, outlier_count, whole_groups
from core.spec.updates import Update, check_update


def kernel_of(method: Method) -> Kernel:
    """The kernel of a method, from the module that it declares, by default the one of its name here."""
    return importlib.import_module(method.kernel or f"core.methods.{method.name.replace('-', '_')}").kernel


def solve(problem: LayerProblem, method: str | Method, pattern: AnyPattern, *,
          update: Update = "own", refit: bool = False, keep_rows: Tensor | None = None, **parameters: object) -> LayerSolution:
    """Prune one layer. `method` is a name with its parameters as keywords, or a parameter model of `core.spec`.

    `update` puts another's weights on the method's mask (core/layer/updates.py); `refit` is exact from the method's own weights on.
    `keep_rows` int64 [⌈αc⌉] are the rows that stay dense in place of those with the most energy.
    Raises BadInput or pydantic's ValidationError for parameters that cannot be; IllConditioned when a factorization fails;
    Diverged when neither the method nor the exact refit of its mask is better than no update.
    """
    chosen = make_method(method, **parameters) if isinstance(method, str) else method
    return drain(steps(problem, chosen, pattern, update=update, refit=refit, keep_rows=keep_rows))


@torch.no_grad()
def steps(problem: LayerProblem, method: Method, pattern: AnyPattern, *,
          update: Update = "own", refit: bool = False, keep_rows: Tensor | None = None) -> Generator[Step | LazyStep, None, LayerSolution]:
    """The steps of `solve` on one layer; returns the solution. Inputs are never changed."""
    solution = yield from unchecked_steps(problem, method, pattern, update=update, refit=refit, keep_rows=keep_rows)
    return checked(problem, method, solution)


@torch.no_grad()
def unchecked_steps(problem: LayerProblem, method: Method, pattern: AnyPattern, *, update: Update = "own", refit: bool = False,
                    keep_rows: Tensor | None = None) -> Generator[Step | LazyStep, None, LayerSolution]:
    """The same up to the layer's error, a product of c×b×b: `relative_error` is not a number yet."""
    rows, columns = problem.weight.shape
    method.check(pattern)
    check_update(update, refit)
    target = pattern.target(rows, columns)
    started = now(problem.weight.device)
    count = outlier_count(rows, pattern.outlier_rows)
    dense, active, inner = _set_aside(problem, outlier_rows(problem, count) if keep_rows is None else _checked(keep_rows, problem, count))
    damping, weight = None, problem.working_weight
    pruned = torch.zeros_like(weight, dtype=torch.bool)
    if inner is not None:
        inner, scale = _weighed(inner, problem.output_weight, active)
        outcome = yield from kernel_of(method)(inner, target, method.resolved(pattern))
        if refit or update != "own":
            outcome = _updated(inner, target, method.resolved(pattern), outcome, "exact" if refit else update,
                               automatic_block_size(pattern.kind))
        damping = outcome.damping
        found = outcome.weight if scale is None else torch.where(outcome.weight == inner.weight, weight[active], outcome.weight / scale)
        if len(dense):
            weight = weight.clone()
            weight[active], pruned[active] = found, outcome.pruned
        else:
            weight, pruned = found, outcome.pruned
    result = _cast(problem, weight, damping, copy=inner is None)
    result[dense] = problem.weight[dense]
    return LayerSolution(
        weight=result, pruned=pruned, relative_error=math.nan, seconds=now(result.device) - started, dense_rows=dense,
        damping=damping, dense_columns=columns % target.m if isinstance(target, Groups) else 0)


@torch.no_grad()
def checked(problem: LayerProblem, method: Method, solution: LayerSolution) -> LayerSolution:
    """An unchecked solution with its error; rows that have diverged are refitted in place. One product of c×b×b. Raises Diverged."""
    started = now(solution.weight.device)
    error, refitted = checked_error(problem, solution.weight, solution.pruned, method=method.label, couples=method.couples,
                                    remedy=remedy(solution.damping, getattr(method, "learning_rate", None)))
    more = now(solution.weight.device) - started if refitted else 0.0
    return replace(solution, relative_error=problem.relative(error), seconds=solution.seconds + more, refitted_rows=refitted)


def _cast(problem: LayerProblem, weight: Tensor, damping: float | None, *, copy: bool) -> Tensor:
    """The weights in the layer's own dtype. Raises IllConditioned where they are no numbers, BadInput where the dtype cannot hold them."""
    result = weight.to(problem.weight.dtype, copy=copy)
    if finite(result):
        return result
    if not finite(weight):
        raise IllConditioned(problem.name, math.nan, damping or 0.0)
    raise BadInput(problem.name, f"a weight of {float(weight.abs().max()):.3g}", f"what {result.dtype} holds, "
                   f"±{torch.finfo(result.dtype).max:.3g}", "Prune the model in bfloat16 or float32, or raise the damping.")


def _updated(problem: LayerProblem, target: Target, method: Method, outcome: Outcome, how: Update, block_size: int) -> Outcome:
    """The outcome's mask with another update's weights; exact starts at the outcome's.

    Sweep and block take λ from a method of their own family, and block takes B from one that has blocks, else `block_size`; whole
    columns go at once, as in Thanos. The rest is the update's own.
    """
    options: dict[str, Any] = {"start": outcome.weight} if how == "exact" else {}
    if how in ("sweep", "block") and method.update_family == "obs":
        options |= {"damping": outcome.damping, "raise_damping": method.may_raise_damping}
    if how == "block":
        size = method.own_block_size or block_size
        options["block_size"] = problem.weight.shape[1] if isinstance(target, Columns) else whole_groups(size, target)
    weight, damping = damped_update(problem, outcome.pruned, how, **options)
    return Outcome(weight=weight, pruned=outcome.pruned, damping=outcome.damping if damping is None else damping)


def outlier_rows(problem: LayerProblem, count: int) -> Tensor:
    """int64 [count], ascending: the rows of most energy h_i (equal ones in row order)."""
    if count == 0:
        return torch.arange(0, device=problem.weight.device)
    return problem.row_energy().sort(descending=True, stable=True).indices[:count].sort().values


def _checked(rows: Tensor, problem: LayerProblem, count: int) -> Tensor:
    """The rows that a caller chose to keep, ascending. Raises BadInput unless they are `count` different rows of the layer."""
    size, given = len(problem.weight), rows.cpu().numpy()
    kept = np.unique(given)
    if given.ndim != 1 or given.dtype != np.int64 or not given.size == kept.size == count or (kept < 0).any() or (kept >= size).any():
        raise BadInput("keep_rows", given, f"{count} different rows of 0 to {size - 1}, as int64 (⌈αc⌉ of c = {size})",
                       "Choose as many rows as α keeps, or leave it out: then those with the most energy stay.")
    return torch.tensor(kept, device=problem.weight.device)


def _weighed(problem: LayerProblem, weights: Tensor | None, rows: Tensor) -> tuple[LayerProblem, Tensor | None]:
    """W with its rows scaled by √v_i, so that tr(ΔGΔᵀ) counts output i v_i times, and that scale [c, 1]: what is undone at the end.

    Of a matrix V the diagonal goes so; what couples the rows, C = V/√(v_i v_k), stays as the problem's `output_weight`.
    """
    if weights is None:
        return problem, None
    weights = weights.to(problem.dtype)[rows]
    if weights.ndim == 1:
        return problem.with_weight(problem.working_weight * weights[:, None].sqrt()), weights[:, None].sqrt()
    coupling = (weights[:, rows] + weights[:, rows].T) / 2
    scale = coupling.diagonal()[:, None].sqrt()
    return problem.with_weight(problem.working_weight * scale, output_weight=coupling / (scale * scale.T)), scale


def _set_aside(problem: LayerProblem, dense: Tensor) -> tuple[Tensor, Tensor, LayerProblem | None]:
    """The rows that stay dense, the others, and the problem of the others if there are any."""
    active = torch.ones(len(problem.weight), dtype=torch.bool, device=problem.weight.device)
    active[dense] = False
    others = active.nonzero()[:, 0]
    if len(dense) == 0:
        return dense, others, problem
    return dense, others, problem.with_weight(problem.weight[others]) if len(others) else None
