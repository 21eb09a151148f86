"""The symmetric tables of `core.linalg.cpu.symmetric_table` on a GPU: those of many rows at once, whole ones, and their pivots."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import Tensor


def tables_of(system: Tensor, linear: Tensor, mask: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
    """The tables with all kept entries in, and whether each of their pivots was above its floor; 5/2·B³ multiply-adds a row.

    Three times as many as by single pivots, but products, where each of those would go through all tables.
    """
    kept = ~mask
    both = kept[:, :, None] & kept[:, None]
    inside = system * both
    inside.diagonal(dim1=1, dim2=2).add_(mask.to(system.dtype))
    lower, failed = torch.linalg.cholesky_ex(inside)
    sound = (failed == 0) & (mask | (lower.diagonal(dim1=1, dim2=2).square() > floor)).all(1)
    lower = torch.where(sound[:, None, None], lower, torch.eye(len(system), dtype=system.dtype, device=system.device))
    inverse = torch.cholesky_inverse(lower).mul_(both)
    spread = system @ inverse  # A_PK A_KK⁻¹ in the rows of P
    weights = (inverse @ (linear * kept)[:, :, None])[:, :, 0]
    size = len(system)
    table = linear.new_zeros(len(mask), size + 1, size + 1)
    square = table[:, :size, :size]
    square.copy_(system - spread @ system).masked_fill_(~(mask[:, :, None] & mask[:, None]), 0).sub_(inverse)
    spread.mul_(mask[:, :, None])
    square.add_(spread).add_(spread.mT)
    table[:, size, :size] = torch.where(kept, weights, linear - weights @ system)
    table[:, :size, size] = table[:, size, :size]
    return table, sound


def flip(mask: Tensor, at: Tensor, active: Tensor) -> None:
    """One entry of every active row goes or comes back."""
    every = torch.arange(len(mask), device=mask.device)
    mask[every, at] = mask[every, at] ^ active


def pivot(table: Tensor, at: Tensor, sign: int, active: Tensor) -> None:
    """The symmetric sweep of every active row's table at its own entry; the others add zeros to theirs, and nobody waits."""
    every = torch.arange(len(table), device=table.device)
    column = table[every, at]
    value = column[every, at]
    inverse = torch.where(active, 1 / value, 0)
    line = torch.where(active[:, None], sign * inverse[:, None] * column, column)
    line[every, at] = torch.where(active, -inverse, value)
    column[every, at] = 0
    table.baddbmm_((column * -inverse[:, None])[:, :, None], column[:, None])
    table[every, at] = line
    table[every, :, at] = line
