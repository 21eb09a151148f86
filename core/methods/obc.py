"""OBC: one weight at a time, all kept weights refitted after each (Frantar & Alistarh 2022, ExactOBS, Alg. 1 and 2; docs/methods/obc.md).

Removing entry q of a row costs w_q²/[H_KK⁻¹]_qq, and H_KK⁻¹ is downdated by its q-th row. Each row is traced on its own; a
layer-wide budget then always takes the cheapest next removal of any row, as if the rows' traces were merged. The kept weights
are the exact optimum for the mask, min tr((Ŵ−W)H(Ŵ−W)ᵀ). Whole columns go one by one in the same way, at the sum of the rows'
costs Σ_i w_iq²/[H_KK⁻¹]_qq, with one H_KK⁻¹ for all rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.layer.masks import clear, smallest
from core.layer.problem import LayerProblem
from core.layer.steps import LazyStep, Outcome, Step, Steps
from core.linalg.cancellation import check_cancelled
from core.linalg.products import add_product, product
from core.linalg.row_systems import solve_rows
from core.linalg.rows import trace, trace_columns
from core.spec.methods import Obc
from core.spec.patterns import Columns, Entries, Groups, Target

_TOLD = 1024  # up to so many removals each is a step: more than anybody looks at would cost a fifth of the time


def kernel(problem: LayerProblem, target: Target, method: Obc) -> Steps:
    """Traces in float64 on the CPU: c·b³/6 multiply-adds, so small layers; columns c·b² + s·b². Raises IllConditioned."""
    upper, damping = problem.factor(method.damping, may_raise=method.raise_damping)
    inverse, weight = product(upper.T, upper), problem.working_weight

    def refit(pruned: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The mask, the best kept weights for it, and their loss."""
        solution = solve_rows(inverse, weight, pruned, layer=problem.name, damping=damping)
        loss = (solution * weight).masked_fill_(problem.dead, 0).sum()
        return pruned, clear(add_product(weight.clone(), solution, inverse, -1), pruned), loss

    if isinstance(target, Columns):
        pruned = _columns(inverse.double(), weight.double(), problem.dead, target.count).expand_as(weight).clone()
    else:
        removals = _entries(inverse, weight, problem.dead, target, method.granularity)
        for count in range(1, len(removals) if len(removals) <= _TOLD else 1):
            yield LazyStep((0, 0), lambda count=count: refit(_mask(removals[:count], weight)))
        pruned = _mask(removals, weight)
    pruned, kept, loss = refit(pruned)
    yield Step(columns=(0, weight.shape[1]), pruned=pruned, weight=kept, loss=loss)
    return Outcome(weight=kept, pruned=pruned, damping=damping)


def _mask(removals: Tensor, weight: Tensor) -> Tensor:
    """The mask [c, b] of removals int64 [k, 2] of row and column."""
    pruned = torch.zeros(weight.shape, dtype=torch.bool)
    pruned[removals[:, 0], removals[:, 1]] = True
    return pruned.to(weight.device)


def _entries(inverse: Tensor, weight: Tensor, dead: Tensor, target: Entries | Groups, granularity: str) -> Tensor:
    """The removals int64 [k, 2] in their order. None is cheaper than those its row must make before it: the running maximum orders all."""
    rows, columns = weight.shape
    if isinstance(target, Groups):
        n, m, length = target.n, target.m, columns // target.m * target.n
    else:
        n, m, length = 0, 0, target.count // rows if granularity == "row" else min(columns, target.count)
    order, costs = trace(inverse, weight, dead, length, n=n, m=m)
    if not length:
        return order.new_zeros(0, 2)
    costs, taken = costs.cummax(1).values, torch.ones_like(order, dtype=torch.bool)
    if isinstance(target, Entries) and granularity == "layer":
        taken = smallest(costs, target.count)
    row, place = taken.nonzero(as_tuple=True)
    sequence = costs[row, place].argsort(stable=True)
    return torch.stack([row[sequence], order[row, place][sequence]], 1)


def _columns(inverse: Tensor, weight: Tensor, dead: Tensor, count: int) -> Tensor:
    """The mask [b]: `count` times the column of least Σ_i w_i²/[H_KK⁻¹]_qq, then W and H_KK⁻¹ are downdated by it."""
    if not weight.is_cuda:
        return trace_columns(inverse, weight, dead, count)
    return _columns_batched(inverse, weight, dead, count)


def _columns_batched(inverse: Tensor, weight: Tensor, dead: Tensor, count: int) -> Tensor:
    inverse, weight = inverse.clone(), weight.clone()
    removed = torch.zeros_like(dead)
    for _ in range(count):
        check_cancelled()
        losses = (weight.square().sum(0) / inverse.diagonal()).masked_fill_(dead, -1).masked_fill_(removed, torch.inf)
        at = losses.argmin().view(1)  # a place on the device: as an index it would be read
        column = inverse.index_select(0, at)[0]
        row = column / column.index_select(0, at)
        weight.addr_(weight.index_select(1, at)[:, 0], row, alpha=-1)
        inverse.addr_(column, row, alpha=-1)
        removed.index_fill_(0, at, True)
    return removed
