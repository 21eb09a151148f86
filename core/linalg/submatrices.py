"""Some rows and columns of a matrix taken out, and columns put back. On a CPU compiled, in one pass over what is new: memory that a
process has not had before is slower to come by than it is to fill.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import torch
from torch import Tensor

from core.linalg.cpu.submatrices import part_range, spread_range
from core.linalg.threads import map_row_ranges


def part(matrix: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """matrix[rows][:, columns], new and contiguous [r, k]; rows and columns are indices, int64."""
    if matrix.is_cuda:
        return matrix.index_select(0, rows).index_select(1, columns)
    taken = matrix.new_empty(len(rows), len(columns))
    map_row_ranges(part_range, (matrix, rows.int(), columns.int(), taken), rows=len(rows), work=taken.numel())
    return taken


def spread(weight: Tensor, change: Tensor, removed: Tensor) -> Tensor:
    """weight [c, b] + `change` [c, k] on the k columns that are not `removed` (bool [b]), 0 on the others: a new matrix [c, b]."""
    place = torch.where(removed, -1, (~removed).cumsum(0) - 1)  # of a column in `change`
    if not change.numel():
        return weight.masked_fill(removed, 0)
    if weight.is_cuda:
        return change.index_select(1, place.clamp(min=0)).add_(weight).masked_fill_(removed, 0)
    moved = torch.empty_like(weight, memory_format=torch.contiguous_format)
    map_row_ranges(spread_range, (weight, change, place.int(), moved), rows=len(weight), work=moved.numel())
    return moved
