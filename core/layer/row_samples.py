"""Rows of a layer that stand for all of them."""

from __future__ import annotations

import math

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


def likely_rows(problem: LayerProblem, dense_rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`count` of the rows not in `dense_rows`, int64, and the chance with which each is in a sample, float64: in proportion to its energy,
    and 1 for rows of more than an even share (systematic sampling: Cochran 1977, Sampling Techniques, ch. 9A). Fewer where fewer have any.
    """
    energy = problem.row_energy().double().clamp(min=0)
    energy[dense_rows] = 0
    order = energy.argsort(descending=True, stable=True)[: int((energy > 0).sum())]
    if len(order) <= count:
        return order, torch.ones(len(order), dtype=torch.float64, device=order.device)
    sizes = energy[order]
    rest = sizes.flip(0).cumsum(0).flip(0)  # of this row and all smaller ones
    left = count - torch.arange(len(order), device=order.device)
    sure = int(((sizes * left >= rest) & (left > 0)).long().cumprod(0).sum())
    some = count - sure
    chance = some * sizes[sure:] / rest[sure] if some else sizes[:0]
    marks = torch.arange(some, device=order.device, dtype=torch.float64) + 0.5
    chosen = torch.searchsorted(chance.cumsum(0), marks).clamp(max=len(chance) - 1)
    whole = torch.ones(sure, dtype=torch.float64, device=order.device)
    return torch.cat([order[:sure], order[sure:][chosen]]), torch.cat([whole, chance[chosen]])


def banded_rows(rows: int, count: int) -> Tensor:
    """int64, ascending: one row at random out of each of `count` bands of consecutive rows; the same ones each time."""
    size = min(count, rows)
    edges = torch.arange(size + 1) * rows // size
    places = torch.rand(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return edges[:-1] + (places * (edges[1:] - edges[:-1])).long()


def ratio_estimate(part: Tensor, whole: Tensor, chance: Tensor, count: int) -> tuple[float, float]:
    """Σ part / Σ whole over all rows, from those of a sample [k], float64, each there with its `chance`; and its standard error (a ratio
    estimator: Cochran 1977, Sampling Techniques, ch. 6 and 9A). `count` rows were to be drawn, 2 at least. Both 0 where `whole` is nothing.
    """
    total = float((whole / chance).sum())
    if total <= 0:
        return 0.0, 0.0
    ratio = float((part / chance).sum()) / total
    off = (1 - chance).clamp(min=0) * ((part - ratio * whole) / chance).square()
    return ratio, math.sqrt(float(off.sum()) * count / max(1, count - 1)) / total
