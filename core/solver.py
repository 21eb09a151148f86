"""A problem, a method and a pattern to a solution: `solve` drains the steps, the stepper records them.

    solve ─► steps ─► rows kept dense by α are set aside (here, so that every method can have α)
                  ─► core.methods.<name>.kernel(active rows' problem, target, parameters): yields Step, returns Outcome
                  ─► another update's weights on that mask, or the exact refit, if asked (core/updates.py)
                  ─► rows put back, cast to the layer's dtype, errors counted
"""

from __future__ import annotations

import importlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from core.meter import now
from core.parameters import Method, Obc, SparseGPT, Thanos, Update, check_update, make_method
from core.patterns import Columns, Groups, SemiStructured, Structured, Target, Unstructured, outlier_count, whole_groups
from core.problem import LayerProblem, LayerSolution
from core.updates import damped_update

Ending = TypeVar("Ending")


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """The state after a block of columns, of the rows that are not kept dense.

    `columns` [start, stop) were decided now; `pruned` and `weight` [c, b] are live: clone them to keep them. `loss` is what
    the removals cost so far, tr(ΔHΔᵀ) (a scalar tensor), or None where a method moves no weight and so does not know it.
    """

    columns: tuple[int, int]
    pruned: Tensor
    weight: Tensor
    loss: Tensor | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What a kernel returns: new weights and mask [c, b], and the damping it used (None: it has none)."""

    weight: Tensor
    pruned: Tensor
    damping: float | None = None


class Kernel(Protocol):
    """`core/methods/<name>.py` offers this under the name `kernel`."""

    def __call__(self, problem: LayerProblem, target: Target, method: Method) -> Generator[Step, None, Outcome]: ...


def kernel_of(method: Method) -> Kernel:
    """The kernel of a method, from the module of its name."""
    return importlib.import_module(f"core.methods.{method.name.replace('-', '_')}").kernel


def solve(problem: LayerProblem, method: str | Method, pattern: Unstructured | SemiStructured | Structured, *,
          update: Update = "own", refit: bool = False, **parameters: object) -> LayerSolution:
    """Prune one layer. `method` is a name with its parameters as keywords, or a parameter model of `core.spec`.

    `update` puts another's weights on the method's mask (core/updates.py); `refit` is exact from the method's own weights on.
    Raises BadInput or pydantic's ValidationError for parameters that cannot be; IllConditioned when a factorisation fails.
    """
    chosen = make_method(method, **parameters) if isinstance(method, str) else method
    return drain(steps(problem, chosen, pattern, update=update, refit=refit))


def drain(generator: Generator[Step, None, Ending]) -> Ending:
    """Runs to the end and returns what it returns."""
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return stop.value


@torch.no_grad()
def steps(problem: LayerProblem, method: Method, pattern: Unstructured | SemiStructured | Structured, *,
          update: Update = "own", refit: bool = False) -> Generator[Step, None, LayerSolution]:
    """The steps of a method on one layer; returns the solution. Inputs are never changed."""
    rows, columns = problem.weight.shape
    method.check(pattern)
    check_update(update, refit)
    target = pattern.target(rows, columns)
    started = now(problem.weight.device)
    dense, active, inner = _set_aside(problem, outlier_count(rows, pattern.outlier_rows))
    damping, weight = None, problem.working_weight
    pruned = torch.zeros_like(weight, dtype=torch.bool)
    if inner is not None:
        outcome = yield from kernel_of(method)(inner, target, method.resolved(pattern))  # type: ignore[arg-type]
        if refit or update != "own":
            outcome = _updated(inner, target, method, outcome, "exact" if refit else update)
        damping = outcome.damping
        if len(dense):
            weight = weight.clone()
            weight[active], pruned[active] = outcome.weight, outcome.pruned
        else:
            weight, pruned = outcome.weight, outcome.pruned
    result = weight.to(problem.weight.dtype, copy=inner is None).masked_fill_(pruned, 0)
    result[dense] = problem.weight[dense]
    seconds = now(result.device) - started
    return LayerSolution(
        weight=result, pruned=pruned, relative_error=problem.relative(problem.error(result)), seconds=seconds, dense_rows=dense,
        damping=damping, dense_columns=columns % target.m if isinstance(target, Groups) else 0)


def _updated(problem: LayerProblem, target: Target, method: Method, outcome: Outcome, how: Update) -> Outcome:
    """The outcome's mask with another update's weights; exact starts at the outcome's.

    Sweep and block take λ from a method that has the same (SparseGPT, Thanos, OBC), and block takes B from one that has blocks;
    whole columns go at once, as in Thanos. The rest is the update's own.
    """
    options: dict[str, Any] = {"start": outcome.weight} if how == "exact" else {}
    if how in ("sweep", "block") and isinstance(method, SparseGPT | Thanos | Obc):
        options |= {"damping": outcome.damping, "raise_damping": method.raise_damping}
    if how == "block":
        size = getattr(method, "block_size", None) or (512 if isinstance(target, Groups) else 128)
        options["block_size"] = problem.weight.shape[1] if isinstance(target, Columns) else whole_groups(size, target)
    weight, damping = damped_update(problem, outcome.pruned, how, **options)
    return Outcome(weight=weight, pruned=outcome.pruned, damping=outcome.damping if damping is None else damping)


def _set_aside(problem: LayerProblem, count: int) -> tuple[Tensor, Tensor, LayerProblem | None]:
    """The `count` rows of most energy h_i (equal ones in row order), the others, and the problem of the others if there are any."""
    rows = len(problem.weight)
    everything = torch.arange(rows, device=problem.weight.device)
    if count == 0:
        return everything[:0], everything, problem
    order = problem.row_energy().sort(descending=True, stable=True).indices
    dense, active = order[:count].sort().values, order[count:].sort().values
    return dense, active, problem.with_weight(problem.weight[active]) if len(active) else None

