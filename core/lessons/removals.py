"""One weight, two weights, any set of a row's weights: what removing them costs when the others make up for it as well as they can.

Δ = −u([H⁻¹]_SS)⁻¹[H⁻¹]_S:, loss u([H⁻¹]_SS)⁻¹uᵀ with u = w_S (Hassibi & Stork 1993 for one weight; docs/methods/obc.md). With the papers'
H = 2G and loss ½δᵀHδ the factors of 2 cancel: ½w²/[(2G)⁻¹]_qq = w²/[G⁻¹]_qq.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.layer.updates import update
from core.records.lessons import Floats, OneWeight, TwoWeights


def without(problem: LayerProblem, rows: Tensor, pruned: Tensor) -> Tensor:
    """The best weights [k, b] of row rows[i] with pruned[i] removed: k rows as one layer, the update with B = b. Raises IllConditioned."""
    several = problem.with_weight(problem.working_weight[rows])
    return update(several, pruned, "block", block_size=pruned.shape[1], damping=0)


def losses(problem: LayerProblem, change: Tensor) -> Tensor:
    """ΔHΔᵀ of every row: [..., b] -> [...]."""
    return ((change @ problem.working_gram) * change).sum(-1)


@torch.no_grad()
def one_weight(problem: LayerProblem) -> OneWeight:
    """Every weight alone. O(c·b³) at most."""
    weight, hessian = problem.working_weight, problem.working_gram
    rows, columns = weight.shape
    upper, _ = problem.factor(0.0)
    inverse = upper.T @ upper
    which = torch.arange(rows).repeat_interleave(columns)
    alone = torch.eye(columns, dtype=torch.bool).repeat(rows, 1)
    change = (without(problem, which, alone) - weight[which]).view(rows, columns, columns)
    loss = weight.square() / inverse.diagonal()
    diagonal = weight.square() * hessian.diagonal()
    agreement = {"diagonal": _spearman(diagonal, loss), "magnitude": _spearman(weight.abs(), loss)}
    return OneWeight(weight=weight.numpy(), hessian=hessian.numpy(), inverse=inverse.numpy(), loss=loss.numpy(),
                     measured=losses(problem, change).numpy(), diagonal=diagonal.numpy(), change=change.numpy(),
                     energy=float(problem.energy()), agreement=agreement)


@torch.no_grad()
def two_weights(problem: LayerProblem) -> TwoWeights:
    """Every pair of every row, each removed jointly. O(c·b³)."""
    rows, columns = problem.weight.shape
    upper, _ = problem.factor(0.0)
    pairs = torch.tensor([(q, q) for q in range(columns)] + list(combinations(range(columns), 2)))
    pruned = torch.zeros(len(pairs), columns, dtype=torch.bool).scatter_(1, pairs, True)
    which = torch.arange(rows).repeat_interleave(len(pairs))
    change = without(problem, which, pruned.repeat(rows, 1)) - problem.working_weight[which]
    found = losses(problem, change).view(rows, len(pairs))
    pair = torch.zeros(rows, columns, columns, dtype=problem.dtype)
    pair[:, pairs[:, 0], pairs[:, 1]] = found
    pair[:, pairs[:, 1], pairs[:, 0]] = found
    return TwoWeights(pair=pair.numpy(), weight=problem.working_weight.numpy(), hessian=problem.working_gram.numpy(),
                      inverse=(upper.T @ upper).numpy())


def _spearman(score: Tensor, loss: Tensor) -> float:
    """Rank correlation: 1 where both would remove the weights in the same order. Scores that are all equal agree with nothing (0)."""
    first, second = _ranks(score.numpy().ravel()), _ranks(loss.numpy().ravel())
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: Floats) -> Floats:
    """Ranks from 0, the mean rank for ties."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count + 1) / 2)[place]
