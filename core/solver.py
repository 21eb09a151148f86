"""A problem, a method and a pattern to a solution: `solve` drains the steps, the stepper records them.

    solve ─► steps ─► rows kept dense by α are set aside (here, so that every method can have α)
                  ─► core.methods.<name>.kernel(active rows' problem, target, parameters): yields Step, returns Outcome
                  ─► rows put back, exact refit if asked, cast to the layer's dtype, errors counted
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from core.linalg import masked_cg
from core.patterns import Groups, Structured, Target, Unstructured, outlier_count
from core.problem import LayerProblem, LayerSolution
from core.spec import Method, SemiStructured, make_method

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
          refit: bool = False, **parameters: object) -> LayerSolution:
    """Prune one layer. `method` is a name with its parameters as keywords, or a parameter model of `core.spec`.

    Raises BadInput or pydantic's ValidationError for parameters that cannot be; IllConditioned when a factorisation fails.
    """
    chosen = make_method(method, **parameters) if isinstance(method, str) else method
    return drain(steps(problem, chosen, pattern, refit=refit))


def drain(generator: Generator[Step, None, Ending]) -> Ending:
    """Runs to the end and returns what it returns."""
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return stop.value


@torch.no_grad()
def steps(problem: LayerProblem, method: Method, pattern: Unstructured | SemiStructured | Structured, *,
          refit: bool = False) -> Generator[Step, None, LayerSolution]:
    """The steps of a method on one layer; returns the solution. Inputs are never changed."""
    rows, columns = problem.weight.shape
    method.check(pattern)
    target = pattern.target(rows, columns)
    started = _now(problem.weight)
    dense, active, inner = _set_aside(problem, outlier_count(rows, pattern.outlier_rows))
    damping, weight = None, problem.working_weight
    pruned = torch.zeros_like(weight, dtype=torch.bool)
    if inner is not None:
        outcome = yield from kernel_of(method)(inner, target, method.resolved(pattern))  # type: ignore[arg-type]
        damping = outcome.damping
        if len(dense):
            weight = weight.clone()
            weight[active], pruned[active] = outcome.weight, outcome.pruned
        else:
            weight, pruned = outcome.weight, outcome.pruned
    if refit:
        weight = exact_refit(problem, weight, pruned)
    result = weight.to(problem.weight.dtype, copy=inner is None).masked_fill_(pruned, 0)
    result[dense] = problem.weight[dense]
    seconds = _now(result) - started
    return LayerSolution(
        weight=result, pruned=pruned, relative_error=problem.relative(problem.error(result)), seconds=seconds, dense_rows=dense,
        damping=damping, dense_columns=columns % target.m if isinstance(target, Groups) else 0)


def exact_refit(problem: LayerProblem, weight: Tensor, pruned: Tensor, *, iterations: int = 60) -> Tensor:
    """The best kept weights for a mask, min tr((Ŵ−W)G(Ŵ−W)ᵀ), from `weight` on (METHODS.md §8). O(iterations·c·b²)."""
    start = weight.masked_fill(pruned, 0)
    return masked_cg(problem.working_gram, problem.working_weight, start, pruned, iterations=iterations, tolerance=1e-4)[0]


def _set_aside(problem: LayerProblem, count: int) -> tuple[Tensor, Tensor, LayerProblem | None]:
    """The `count` rows of most energy h_i (equal ones in row order), the others, and the problem of the others if there are any."""
    rows = len(problem.weight)
    everything = torch.arange(rows, device=problem.weight.device)
    if count == 0:
        return everything[:0], everything, problem
    order = problem.row_energy().sort(descending=True, stable=True).indices
    dense, active = order[:count].sort().values, order[count:].sort().values
    return dense, active, problem.with_weight(problem.weight[active]) if len(active) else None


def _now(tensor: Tensor) -> float:
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)
    return time.perf_counter()
