"""SparseGPT: column by column, each removal's error compensated in the columns to its right (Frantar & Alistarh 2023, Alg. 1).

With U upper triangular and H⁻¹ = UᵀU, removing w_j of a row adds −(w_j/U_jj)·U[j, j:] to the row's columns from j on, which is
the OBS update with the columns left of j frozen; it costs (w_j/U_jj)² of tr(ΔHΔᵀ). docs/methods/sparsegpt.md.
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from core.layer.joint_update import sweep_blocks
from core.layer.masks import clear, share, smallest, smallest_columns, smallest_in_groups
from core.layer.problem import LayerProblem
from core.layer.steps import Outcome, Step
from core.linalg.rows import sweep, sweep_groups
from core.spec.methods import SparseGPT
from core.spec.patterns import Columns, Groups, Target, whole_groups


def kernel(problem: LayerProblem, target: Target, method: SparseGPT) -> Generator[Step, None, Outcome]:
    """Blocks of B columns: the mask at block entry (n:m: at each group), then the column sweep of core/layer/joint_update.py.

    O(b³) for U and O(cb²) for the sweep. Raises IllConditioned.
    """
    upper, damping = problem.factor(method.damping, may_raise=method.raise_damping)
    weight = problem.working_weight.clone(memory_format=torch.contiguous_format)
    columns = weight.shape[1]
    dead = problem.dead
    pruned = torch.zeros_like(weight, dtype=torch.bool)
    loss = weight.new_zeros(())
    size = whole_groups(method.block_size or 128, target)

    def remove(block: Tensor, errors: Tensor, corner: Tensor, start: int) -> None:
        stop = start + len(corner)
        if isinstance(target, Groups) and not block.is_cuda:
            pruned[:, start:stop] = sweep_groups(block, errors, corner, dead[start:stop], target.n, target.m)
            return
        width = target.m if isinstance(target, Groups) else len(corner)
        for at in range(0, len(corner), width):
            part = slice(at, at + width)
            scores = (block[:, part] / corner.diagonal()[part]).square_().masked_fill_(dead[start:stop][part], -1)
            mask = pruned[:, start:stop][:, part] = _choose(scores, target, start + at, min(start + at + width, stop), columns)
            sweep(block, errors, corner, mask, at)

    for start, stop, errors in sweep_blocks(weight, upper, remove, size=size):
        loss = loss + errors.square_().masked_fill_(dead[start:stop], 0).sum()
        yield Step(columns=(start, stop), pruned=pruned, weight=weight, loss=loss)
    return Outcome(weight=clear(weight, pruned), pruned=pruned, damping=damping)


def _choose(scores: Tensor, target: Target, start: int, stop: int, columns: int) -> Tensor:
    """The mask of the columns start … stop−1: the block's share of the budget over all rows, or n of each group."""
    match target:
        case Groups(n=n, m=m):
            return smallest_in_groups(scores, n, m)
        case Columns():
            count = share(target, stop, columns) - share(target, start, columns)
            return smallest_columns(scores.mean(0), count).expand_as(scores).clone()
        case _:
            return smallest(scores, share(target, stop, columns) - share(target, start, columns))
