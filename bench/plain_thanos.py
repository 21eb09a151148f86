"""The paper's algorithm as it is printed: trailing Hessians inverted block by block, each row's submatrix gathered. For timing only."""

from __future__ import annotations

import torch
from torch import Tensor

from core.layer.masks import smallest, smallest_columns, smallest_in_groups
from core.spec.patterns import Columns, Entries, Groups, Pattern


@torch.no_grad()
def plain_thanos(weight: Tensor, gram: Tensor, pattern: Pattern, block: int, damping: float = 0.01) -> Tensor:
    """Ilin & Richtárik 2025, Algorithms 1, 2 and 8, without their rewriting; returns the new weights [c, b]."""
    weight = weight.clone()
    rows, columns = weight.shape
    hessian = gram + damping * gram.diagonal().mean() * torch.eye(columns)
    norm = gram.diagonal().sqrt()
    target = pattern.target(rows, columns)
    if isinstance(target, Columns):
        gone = smallest_columns((weight.square() * norm.square()).sum(0), target.count).nonzero()[:, 0]
        inverse = torch.linalg.inv(hessian)
        weight -= weight[:, gone] @ torch.linalg.inv(inverse[gone][:, gone]) @ inverse[gone]
        weight[:, gone] = 0
        return weight
    left = target.count if isinstance(target, Entries) else 0
    for start in range(0, columns, block):
        stop = min(columns, start + block)
        scores = weight[:, start:].abs() * norm[start:]
        mask = (smallest_in_groups(scores[:, : stop - start], target.n, target.m) if isinstance(target, Groups)
                else smallest(scores, left)[:, : stop - start])
        left -= int(mask.sum())
        inverse = torch.linalg.inv(hessian[start:, start:])
        for row in range(rows):
            chosen = mask[row].nonzero()[:, 0]
            part = inverse[chosen]
            multipliers = torch.linalg.solve(part[:, chosen], weight[row, start + chosen])
            weight[row, start:] -= multipliers @ part
            weight[row, start + chosen] = 0
    return weight
