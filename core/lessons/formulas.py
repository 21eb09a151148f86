"""Three formulas for removing whole columns S, of which one is right. The wrong ones are for this lesson only: nothing prunes with them.

    right      Δ = −W_S ([H⁻¹]_SS)⁻¹ [H⁻¹]_S:        Ilin & Richtárik 2025, Eq. 13 and Alg. 2; docs/methods/thanos.md
    part       Δ = −W_S H_SS [H⁻¹]_S:                a part of H is taken for the inverse of that part of H⁻¹: W_S + Δ_S is not 0
    hessian    Δ = −W_S (H_SS)⁻¹ H_S:                H where H⁻¹ belongs: W_S + Δ_S = 0, but the others move the wrong way

The paper prints its update in three places that do not agree. The slips here are of the two kinds found there: one breaks the
constraint, one is worse than no update.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import Tensor

from core.layer.masks import smallest_columns
from core.layer.problem import LayerProblem
from core.layer.updates import update
from core.lessons.removals import losses
from core.linalg.cholesky import cholesky
from core.records.lessons import FORMULAS, Formulas
from core.spec.patterns import Structured


@torch.no_grad()
def formulas(problem: LayerProblem, *, sparsity: float) -> Formulas:
    """The ⌈p·b⌉ columns of least v_j = Σ_i W_ij²·G_jj go, by each formula. `right` is the core's own. Raises IllConditioned."""
    weight, hessian = problem.working_weight, problem.working_gram
    columns = weight.shape[1]
    count = Structured(sparsity=sparsity).target(*weight.shape).count
    gone = smallest_columns(weight.square().sum(0) * hessian.diagonal(), min(count, columns - 1))
    upper, _ = problem.factor(0.0)
    inverse, taken = upper.T @ upper, weight[:, gone]
    corner = cholesky(hessian[gone][:, gone], layer=problem.name)
    after: dict[str, Tensor] = {
        "none": weight.masked_fill(gone, 0),
        "right": update(problem, gone.expand_as(weight).contiguous(), "block", block_size=columns, damping=0),
        "part": weight - taken @ hessian[gone][:, gone] @ inverse[gone],
        "hessian": weight - taken @ torch.cholesky_solve(hessian[gone], corner),
    }
    stacked = torch.stack([after[name] for name in FORMULAS])
    left = stacked[:, :, gone].square().sum((1, 2)) / taken.square().sum()
    zeroed = stacked.masked_fill(gone, 0)
    return Formulas(weight=weight.numpy(), gone=gone.numpy(), after=stacked.numpy(), left=left.sqrt().numpy(),
                    loss=losses(problem, zeroed - weight).sum(1).numpy(), energy=float(problem.energy()))
