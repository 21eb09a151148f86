"""Magnitude, Wanda, SparseGPT and Thanos: masks from scores, and OBS updates with the columns to the left frozen."""

from __future__ import annotations

import numpy as np

from tests.oracles.layers import Array, Mask, Pruned, Step, damped, dead_inputs, remove, trailing_inverse
from tests.oracles.masks import Ask, block_bounds, select, smallest, smallest_columns, smallest_in_groups, smallest_per_row


def magnitude_rows(weight: Array, gram: Array, asked: Ask, granularity: str) -> Pruned:
    scores = np.abs(weight)
    scores[:, dead_inputs(gram)] = -1.0
    pruned = select(scores, asked, per_row=granularity == "row")
    return Pruned(np.where(pruned, 0.0, weight), pruned)


def wanda_rows(weight: Array, gram: Array, asked: Ask, granularity: str) -> Pruned:
    pruned = select(np.abs(weight) * np.sqrt(np.diag(gram)), asked, per_row=granularity == "row")
    return Pruned(np.where(pruned, 0.0, weight), pruned)


def obs_scores(weight: Array, hessian: Array, start: int, end: int, dead: list[int]) -> Array:
    """W²/U_jj² for the columns start..end, where U_jj² = ([H_{j:,j:}]⁻¹)_jj; 0 for dead inputs."""
    scores = np.zeros((len(weight), end - start))
    for j in range(start, end):
        if j not in dead:
            scores[:, j - start] = weight[:, j] ** 2 / trailing_inverse(hessian, j, dead)[j, j]
    return scores


def sweep_column(weight: Array, hessian: Array, j: int, rows: Mask, dead: list[int]) -> tuple[Array, float]:
    """Remove entry j of the rows marked; everything to the left is frozen."""
    inverse, weight, loss = trailing_inverse(hessian, j, dead), weight.copy(), 0.0
    for i in np.flatnonzero(rows):
        weight[i], cost = remove(weight[i], [j], inverse, dead)
        loss += cost
    return weight, loss


def sweep(weight: Array, gram: Array, pruned: Mask, damping: float) -> tuple[Array, float]:
    """SparseGPT's update for a mask that is given: column after column. Also Thanos with B = 1."""
    hessian, dead, total = damped(gram, damping), dead_inputs(gram), 0.0
    for j in range(weight.shape[1]):
        weight, loss = sweep_column(weight, hessian, j, pruned[:, j], dead)
        total += loss
    return weight, total


def sparsegpt_rows(weight: Array, gram: Array, asked: Ask, block_size: int, damping: float) -> Pruned:
    hessian, dead, columns = damped(gram, damping), dead_inputs(gram), weight.shape[1]
    pruned, steps = np.zeros(weight.shape, dtype=bool), []
    for start, end in block_bounds(columns, block_size, asked):
        here, loss = pruned[:, start:end], 0.0
        if asked.entries is not None:
            share = asked.entries * end // columns - asked.entries * start // columns
            here[:] = smallest(obs_scores(weight, hessian, start, end, dead), share)
        elif asked.columns is not None:
            share = asked.columns * end // columns - asked.columns * start // columns
            here[:] = smallest_columns(obs_scores(weight, hessian, start, end, dead).mean(axis=0), share)
        for j in range(start, end):
            if asked.groups is not None and j % asked.groups[1] == 0 and j + asked.groups[1] <= columns:
                n, m = asked.groups
                pruned[:, j : j + m] = smallest_per_row(obs_scores(weight, hessian, j, j + m, dead), n)
            weight, cost = sweep_column(weight, hessian, j, pruned[:, j], dead)
            loss += cost
        steps.append(Step(start, end, here.copy(), weight.copy(), loss))
    return Pruned(weight, pruned, steps=steps)


def remove_from_rows(weight: Array, pruned: Mask, inverse: Array, dead: list[int]) -> tuple[Array, float]:
    weight, loss = weight.copy(), 0.0
    for i in range(len(weight)):
        weight[i], cost = remove(weight[i], list(np.flatnonzero(pruned[i])), inverse, dead)
        loss += cost
    return weight, loss


def thanos_rows(weight: Array, gram: Array, asked: Ask, block_size: int, damping: float) -> Pruned:
    hessian, dead, columns = damped(gram, damping), dead_inputs(gram), weight.shape[1]
    pruned, steps = np.zeros(weight.shape, dtype=bool), []
    if asked.columns is not None:
        losses = np.array([sum(weight[i, j] ** 2 * gram[j, j] for i in range(len(weight))) for j in range(columns)])
        pruned[:] = smallest_columns(losses, asked.columns)
        weight, loss = remove_from_rows(weight, pruned, trailing_inverse(hessian, 0, dead), dead)
        return Pruned(weight, pruned, steps=[Step(0, columns, pruned.copy(), weight.copy(), loss)])
    left = asked.entries
    for start, end in block_bounds(columns, block_size, asked):
        scores = np.abs(weight[:, start:]) * np.sqrt(np.diag(gram))[start:]
        if asked.groups is not None:
            chosen = smallest_in_groups(scores[:, : end - start], *asked.groups)
        else:
            chosen = smallest(scores, left)[:, : end - start]
            left -= int(chosen.sum())
        here = np.zeros(weight.shape, dtype=bool)
        here[:, start:end] = chosen
        weight, loss = remove_from_rows(weight, here, trailing_inverse(hessian, start, dead), dead)
        pruned |= here
        steps.append(Step(start, end, chosen, weight.copy(), loss))
    return Pruned(weight, pruned, steps=steps)
