"""The outlier-row effect on a matrix small enough to see: one row made stronger, whole columns removed, some rows left dense."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import Tensor

from core.lessons.matrix import StrongRow
from core.outliers import random_rows
from core.patterns import Structured
from core.problem import LayerProblem
from core.solver import solve

DRAWS = 8


@torch.no_grad()
def strong_row(problem: LayerProblem, row: int, *, factor: float, sparsity: float) -> StrongRow:
    """W's row `row` times `factor`; then Thanos removes the columns of p, with 0, 1, 2 … rows dense: by energy, and DRAWS times by lot.

    As many kept rows as leave room for the zeros: p ≤ 1 − α. Raises BadInput, IllConditioned.
    """
    weight = problem.working_weight.clone()
    weight[row] *= factor
    stronger = problem.with_weight(weight)
    rows = len(weight)
    most = max(count for count in range(rows) if count == 0 or sparsity <= 1 - count / rows)
    states, kept, error, sparsities, by_lot = list[Tensor](), list[Tensor](), list[float](), list[float](), list[list[float]]()
    for count in range(most + 1):
        pattern = Structured(sparsity=sparsity, outlier_rows=max(0.0, count / rows - 1e-9))  # ⌈αc⌉ = count, whatever the rounding
        solution = solve(stronger, "thanos", pattern, damping=0)
        states.append(solution.weight)
        kept.append(torch.zeros(rows, dtype=torch.bool).index_fill_(0, solution.dense_rows, True))
        error.append(solution.relative_error)
        sparsities.append(solution.counted_sparsity)
        by_lot.append([solve(stronger, "thanos", pattern, damping=0, keep_rows=random_rows(rows, count, draw)).relative_error
                       for draw in range(DRAWS if count else 0)])
    energy = stronger.row_energy()
    return StrongRow(before=weight.numpy(), shares=(energy / energy.sum()).numpy(), weight=torch.stack(states).numpy(),
                     kept=torch.stack(kept).numpy(), error=tuple(error), counted_sparsity=tuple(sparsities),
                     random=tuple(map(tuple, by_lot)))
