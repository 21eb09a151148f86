"""Rows of a layer that stand for all of them."""

from __future__ import annotations

import torch
from torch import Tensor

from core.layer.problem import LayerProblem


def spread_rows(problem: LayerProblem, dense_rows: Tensor, count: int) -> Tensor:
    """int64, ascending: `count` of the rows not in `dense_rows`, the middle ones of as many equal parts in the order of energy."""
    energy = problem.row_energy()
    order = energy.argsort(stable=True)
    order = order[~torch.isin(order, dense_rows)]
    size = min(count, len(order))
    places = [(2 * i + 1) * len(order) // (2 * size) for i in range(size)]
    return order[places].sort().values
