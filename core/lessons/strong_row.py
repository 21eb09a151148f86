"""The outlier-row effect on a matrix small enough to see: one row or two made stronger, whole columns removed, some rows left dense."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from itertools import combinations

import torch
from torch import Tensor

from core.layer.masks import smallest_columns
from core.layer.outlier_rows import random_rows
from core.layer.problem import LayerProblem
from core.layer.solution import LayerSolution
from core.lessons.removals import losses, without
from core.methods.solve import solve
from core.records.lessons import STRENGTHS, RowChoices, StrongRow
from core.spec.patterns import Structured

_CHOICES = 100  # choices of rows tried beside the strongest: all of them where there are no more


@torch.no_grad()
def strong_row(problem: LayerProblem, row: int, *, factor: float, sparsity: float, second: int | None = None) -> StrongRow:
    """W's row `row` times `factor`, and the row `second` too where there is one; then Thanos removes the columns of p, with 0, 1, 2 …
    rows dense: those of most energy, and any others.

    As many kept rows as leave room for the zeros: p ≤ 1 − α. Raises BadInput, IllConditioned.
    """
    weight = problem.working_weight.clone()
    strong = sorted({row} if second is None else {row, second})
    weight[strong] *= factor
    stronger = problem.with_weight(weight)
    rows = len(weight)
    most = max(count for count in range(rows) if count == 0 or sparsity <= 1 - count / rows)
    # ⌈αc⌉ = count, whatever the rounding
    patterns = (Structured(sparsity=sparsity, outlier_rows=max(0.0, count / rows - 1e-9)) for count in range(most + 1))
    found = [solve(stronger, "thanos", pattern, damping=0) for pattern in patterns]
    kept = torch.stack([_dense(solution) for solution in found])
    energy, parts = stronger.row_energy(), weight.square() * stronger.working_gram.diagonal()
    return StrongRow(before=weight.numpy(), shares=(energy / energy.sum()).numpy(), parts=parts.numpy(),
                     weight=torch.stack([solution.weight for solution in found]).numpy(), kept=kept.numpy(),
                     error=tuple(solution.relative_error for solution in found),
                     counted_sparsity=tuple(solution.counted_sparsity for solution in found),
                     choices=tuple(_choices(stronger, parts, solution, count) for count, solution in enumerate(found)),
                     turns=_turns(problem, strong, _gone(found[0])), strong=tuple(strong))


def _dense(solution: LayerSolution) -> Tensor:
    return torch.zeros(len(solution.weight), dtype=torch.bool).index_fill_(0, solution.dense_rows, True)


def _gone(solution: LayerSolution) -> int:
    """Number of columns that go."""
    return int(solution.pruned.any(0).sum())


def _choices(problem: LayerProblem, parts: Tensor, solution: LayerSolution, count: int) -> RowChoices:
    """The error for every choice of `count` rows that could stay, or of _CHOICES by lot: what `solve` with these rows would leave.

    Many choices lead to the same columns, so a row's loss is computed once for each set of columns.
    """
    rows, gone = len(parts), _gone(solution)
    every = math.comb(rows, count) <= _CHOICES
    chosen = [torch.tensor(one, dtype=torch.int64) for one in combinations(range(rows), count)] if every else [
        random_rows(rows, count, draw) for draw in range(_CHOICES)]
    kept = torch.stack([torch.zeros(rows, dtype=torch.bool).index_fill_(0, one, True) for one in chosen])
    masks = torch.stack([smallest_columns(parts[~one].sum(0), gone) for one in kept])
    sets, place = masks.unique(dim=0, return_inverse=True)
    which = torch.arange(rows).repeat(len(sets))
    change = without(problem, which, sets.repeat_interleave(rows, 0)) - problem.working_weight[which]
    by_row = losses(problem, change).view(len(sets), rows)
    error = by_row[place].masked_fill(kept, 0).sum(1) / problem.energy()
    return RowChoices(kept=kept.numpy(), error=error.numpy(), every=every)


def _turns(problem: LayerProblem, strong: list[int], gone: int) -> float:
    """The least factor of STRENGTHS at which other columns go than with the rows as they are, no row dense; NaN where none changes them."""
    parts = problem.working_weight.square() * problem.working_gram.diagonal()
    own = parts[strong].sum(0)
    others = parts.sum(0) - own
    first = smallest_columns(others + own, gone)
    turned = (factor for factor in STRENGTHS if not torch.equal(smallest_columns(others + factor**2 * own, gone), first))
    return next(turned, math.nan)
