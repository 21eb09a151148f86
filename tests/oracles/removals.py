"""OBC: one removal after another, always the cheapest, with every inverse computed anew."""

from __future__ import annotations

import numpy as np

from tests.oracles.layers import Array, Pruned, best_weights, damped, dead_inputs
from tests.oracles.masks import Ask


def column_losses(weight: Array, hessian: Array, kept: list[int]) -> Array:
    """By how much the least damped error grows when one more column goes; −2 for those that are gone."""
    losses = np.full(weight.shape[1], -2.0)
    inverse = np.linalg.inv(hessian[np.ix_(kept, kept)])
    for at, j in enumerate(kept):
        losses[j] = sum((inverse[at] @ hessian[kept] @ row) ** 2 / inverse[at, at] for row in weight)
    return losses


def next_removal(row: Array, hessian: Array, gone: list[int], dead: list[int], groups: tuple[int, int] | None) -> tuple[float, int]:
    """The cheapest next removal of a row: (cost, column). Everything is inverted anew."""
    kept = [j for j in range(len(row)) if j not in gone]
    inverse = np.linalg.inv(hessian[np.ix_(kept, kept)])
    best = inverse @ hessian[kept] @ row
    found = []
    for at, j in enumerate(kept):
        if groups is not None:
            n, m = groups
            if j >= len(row) // m * m or sum(k // m == j // m for k in gone) >= n:
                continue
        found.append((-1.0 if j in dead else float(best[at] ** 2 / inverse[at, at]), j))
    return min(found)


def obc_rows(weight: Array, gram: Array, asked: Ask, damping: float = 0.01, granularity: str = "layer") -> Pruned:
    """Always the row whose next removal is the cheapest (row: each row alone); whole columns one by one in the same way."""
    hessian, dead = damped(gram, damping), dead_inputs(gram)
    if damping == 0:
        hessian[dead, dead] = 1.0
    rows, columns = weight.shape
    gone: list[list[int]] = [[] for _ in range(rows)]
    if asked.columns is not None:
        for _ in range(asked.columns):
            kept = [j for j in range(columns) if j not in gone[0]]
            losses = column_losses(weight, hessian, kept)
            losses[[j for j in kept if j in dead]] = -1.0
            losses[gone[0]] = np.inf
            gone[0].append(int(np.argmin(losses)))
        gone = [gone[0]] * rows
    else:
        each = None
        if asked.groups is not None:
            each = columns // asked.groups[1] * asked.groups[0]
        elif granularity == "row":
            each = asked.entries // rows
        left = each * rows if each is not None else asked.entries
        following: dict[int, tuple[float, int]] = {}
        while left:
            for i in range(rows):
                if i not in following and len(gone[i]) < (columns if each is None else each):
                    following[i] = next_removal(weight[i], hessian, gone[i], dead, asked.groups)
            i = min(following, key=lambda at: (following[at][0], at))
            gone[i].append(following.pop(i)[1])
            left -= 1
    pruned = np.zeros(weight.shape, dtype=bool)
    for i in range(rows):
        pruned[i, gone[i]] = True
    return Pruned(best_weights(weight, hessian, pruned), pruned)
