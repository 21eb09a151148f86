"""Thanos: block by block, all removals of a row compensated jointly (Ilin & Richtárik 2025), by one Cholesky (docs/methods/thanos.md).

For the block of columns J starting at j, S a row's removals in J, u = w_S:   Δw_{j:} = −u ([H_{j:}]⁻¹_SS)⁻¹ [H_{j:}]⁻¹_S:
With H⁻¹ = UᵀU, [H_{j:}]⁻¹ = U[j:,j:]ᵀU[j:,j:] for every j: one factorization serves all blocks. With D = U[J,J] and P = U[J, j:],
solve (DᵀD)_SS Λ_S = u per row, Λ zero elsewhere, then one product for all rows: W[:, j:] −= (ΛDᵀ)P. The cost is tr(ΔHΔᵀ) = Σ Λ·W.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.layer.joint_update import joint_blocks, remove_columns
from core.layer.masks import clear, smallest_columns, smallest_in_groups, smallest_norms
from core.layer.problem import LayerProblem
from core.layer.steps import LazyStep, Outcome, Step, Steps
from core.spec.methods import Thanos
from core.spec.patterns import Columns, Entries, Groups, Target, whole_groups

_ROWS = 256  # squared at once: they stay in the cache


def kernel(problem: LayerProblem, target: Target, method: Thanos) -> Steps:
    """Structured targets go all at once (Eq. 13, Alg. 2), others in blocks of B columns (Alg. 1, Alg. 8)."""
    if isinstance(target, Columns):
        return (yield from _structured(problem, target, method))
    return (yield from _blocks(problem, target, method))


def _blocks(problem: LayerProblem, target: Entries | Groups, method: Thanos) -> Steps:
    """O(b³) for U, Σ min(|S|, B−|S|)³/6 for the rows, c·b² for the updates. Raises IllConditioned."""
    upper, damping = problem.factor(method.damping, may_raise=method.raise_damping)
    weight = problem.working_weight.clone(memory_format=torch.contiguous_format)
    norm, dead = problem.input_norm, problem.dead
    pruned = torch.zeros_like(weight, dtype=torch.bool)
    loss = weight.new_zeros(())
    size = whole_groups(method.block_size or 128, target)
    left = torch.full((), target.count if isinstance(target, Entries) else 0, device=weight.device)

    def choose(_: Tensor, start: int, stop: int) -> Tensor:
        nonlocal left
        mask = _choose(weight, norm, dead, target, left, start, stop)
        pruned[:, start:stop] = mask
        left = left - mask.sum()
        return mask

    for start, stop, cost in joint_blocks(problem, weight, upper, choose, size=size, damping=damping):
        loss = loss + cost
        yield Step(columns=(start, stop), pruned=pruned, weight=weight, loss=loss)
    return Outcome(weight=clear(weight, pruned), pruned=pruned, damping=damping)


def _choose(weight: Tensor, norm: Tensor, dead: Tensor, target: Entries | Groups, left: Tensor, start: int, stop: int) -> Tensor:
    """The block's mask [c, stop − start]: its part of the `left` smallest |W_ij|√G_jj of all remaining columns, or n of each group."""
    if isinstance(target, Entries):
        return smallest_norms(weight, norm, dead, left, start, stop)
    scores = (weight[:, start:stop] * norm[start:stop]).abs_().masked_fill_(dead[start:stop], -1)
    return smallest_in_groups(scores, target.n, target.m)


def _structured(problem: LayerProblem, target: Columns, method: Thanos) -> Steps:
    """The columns of least v_j = Σ_i W_ij²·G_jj, or heads of least Σ_j v_j, all at once: one Cholesky of H_KK, nothing else inverted."""
    weight = problem.working_weight
    energy = torch.stack([weight[start : start + _ROWS].square().sum(0) for start in range(0, len(weight), _ROWS)]).sum(0)
    losses = (energy * problem.input_norm.square()).masked_fill_(problem.dead, -1)
    removed = smallest_columns(losses, target.count, target.span)
    weight, cost, damping = remove_columns(problem, removed, method.damping, may_raise=method.raise_damping)
    pruned = removed.expand_as(weight).clone()
    yield LazyStep((0, weight.shape[1]), lambda: (pruned, weight, cost()))
    return Outcome(weight=weight, pruned=pruned, damping=damping)
