"""Row systems (A_SS) Λ_S = w_S, each row with its own set S."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import Tensor

from core.linalg.cholesky import cholesky
from core.linalg.products import add_product, product
from core.linalg.rows import solve_subsets


def solve_rows(system: Tensor, weight: Tensor, pruned: Tensor, *, layer: str = "layer", damping: float = 0.0) -> Tensor:
    """Λ [c, B], zero off the mask, with (A_SS) Λ_S = weight_S in every row, S = the row's pruned columns.

    A = `system` [B, B] is symmetric positive definite; weight [c, B]; pruned bool [c, B]. Rows with |S| ≤ B/2 factor A_SS.
    The others factor the kept set K: with z = weight on S and y = zA⁻¹, Λ = y − A⁻¹[:,K] ([A⁻¹]_KK)⁻¹ y_K (docs/methods/thanos.md).
    Cost Σ min(|S|, |K|)³/6 multiply-adds on a CPU. Raises IllConditioned, with the layer and damping given, where rounding has
    left A indefinite.
    """
    many = pruned.sum(1) > system.shape[0] // 2
    if system.is_cuda or not bool(many.any()):  # there every system is padded to B: nothing to gain, and no wait for the device
        return solve_subsets(system, weight, pruned)
    few, rest = (~many).nonzero()[:, 0], many.nonzero()[:, 0]
    solution = torch.empty_like(weight, memory_format=torch.contiguous_format)
    solution[few] = solve_subsets(system, weight[few], pruned[few])
    inverse, removed = torch.cholesky_inverse(cholesky(system, layer=layer, damping=damping)), pruned[rest]
    spread = product(weight[rest] * removed, inverse)
    correction = solve_subsets(inverse, spread, ~removed)
    solution[rest] = add_product(spread, correction, inverse, -1).mul_(removed)
    return solution
