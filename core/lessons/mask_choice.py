"""Mask and update apart: every mask of a short row tried, and the loss of each method's mask and update; and whole columns."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.layer.updates import update
from core.lessons.removals import losses, without
from core.methods.solve import solve
from core.records.lessons import COMPARED, REPAIRS, SHORT_ROW, Masks
from core.spec.methods import adapted_method
from core.spec.patterns import Unstructured


@torch.no_grad()
def every_mask(problem: LayerProblem, row: int, *, sparsity: float, block_size: int) -> Masks:
    """The first 12 columns of a row: all masks of ⌊p·b⌋ removals by the update with B = b, and the methods among them.

    At most 924 systems. SparseGPT and Thanos work in blocks of B, and so does the update 'block'. Raises BadInput, IllConditioned.
    """
    columns = min(problem.weight.shape[1], SHORT_ROW)
    short = LayerProblem(weight=problem.weight[row : row + 1, :columns].contiguous(), gram=problem.gram[:columns, :columns].contiguous(),
                         tokens=problem.tokens, name=f"row {row}")
    pattern = Unstructured(sparsity=sparsity)
    count = pattern.target(1, columns).count
    every = _all_masks(columns, count)
    least = _losses(short, without(short, torch.zeros(len(every), dtype=torch.int64), every))
    order = least.argsort(stable=True)
    masks, own, rank = list[Tensor](), list[float](), list[int]()
    for name in COMPARED:
        solution = solve(short, adapted_method(name, damping=0, block_size=min(block_size, columns)), pattern)
        masks.append(solution.pruned[0])
        own.append(float(_losses(short, solution.weight)[0]))
        rank.append(int((every[order] == solution.pruned).all(1).nonzero()[0, 0]))
    masks.append(every[order[0]])
    rank.append(0)
    chosen = torch.stack(masks)
    table = torch.stack([_repaired(short, chosen, how, block_size) for how in REPAIRS], 1)
    own.append(float(least[order[0]]))
    return Masks(weight=short.weight[0].numpy(), pruned=chosen.numpy(), own=np.array(own), repaired=table.numpy(),
                 every=least[order].numpy(), rank=np.array(rank), energy=float(short.energy()), count=count)


def _all_masks(columns: int, count: int) -> Tensor:
    """bool [k, b]: every set of `count` columns."""
    places = torch.tensor(list(combinations(range(columns), count)), dtype=torch.int64).view(-1, count)
    return torch.zeros(len(places), columns, dtype=torch.bool).scatter_(1, places, True)


def _repaired(short: LayerProblem, chosen: Tensor, how: str, block_size: int) -> Tensor:
    """The loss of every mask after one kind of update: [k]."""
    if how == "exact":
        return _losses(short, without(short, torch.zeros(len(chosen), dtype=torch.int64), chosen))
    several = short.with_weight(short.weight.expand(len(chosen), -1).contiguous())
    given: dict[str, object] = {"damping": 0} if how in ("sweep", "block") else {}
    given |= {"block_size": block_size} if how == "block" else {}
    return _losses(short, update(several, chosen, how, **given))  # type: ignore[arg-type]


def _losses(short: LayerProblem, weight: Tensor) -> Tensor:
    return losses(short, weight - short.working_weight)
