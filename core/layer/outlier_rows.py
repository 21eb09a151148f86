"""Random rows as the control of outlier rows, and the column losses of structured pruning."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.spec.patterns import outlier_count


def random_rows(rows: int, count: int, draw: int, place: int = 0) -> Tensor:
    """int64 [count], ascending: the first rows of an order that depends on the draw and on the layer's place in the model."""
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(1_000_003 * draw + place))
    return order[:count].sort().values


def control_rows(rows: int, alpha: float, draw: int | None, place: int) -> Tensor | None:
    """int64 [⌈αc⌉]: the rows of a layer that stay dense by a draw; None: those of most energy."""
    return None if draw is None else random_rows(rows, outlier_count(rows, alpha), draw, place)


def column_losses(problem: LayerProblem, dense: Tensor) -> Tensor:
    """v_j = Σ_i W_ij²·G_jj [b] over the rows that are not kept `dense` (Ilin & Richtárik 2025, structured pruning), each output as often as
    it counts."""
    weights = problem.output_weight
    count = torch.ones_like(problem.working_weight[:, 0]) if weights is None else weights if weights.ndim == 1 else weights.diagonal()
    count = count.to(problem.dtype).clone()
    count[dense] = 0
    return (problem.working_weight.square() * count[:, None]).sum(0) * problem.input_norm.square()
