"""ADMM₁, ADMM-Grad and AdaPrune, whose kept weights are iterated, and DSnoT, whose mask is edited swap by swap."""

from __future__ import annotations

import math

import numpy as np

from tests.oracles.layers import Array, Pruned, damped, dead_inputs
from tests.oracles.masks import Ask, select_part
from tests.oracles.sweeps import magnitude_rows, sparsegpt_rows, wanda_rows


def admm_rows(weight: Array, gram: Array, asked: Ask, iterations: int, damping: float, granularity: str, growing: int) -> Pruned:
    """Z, U and W̃ as in docs/methods/admm-grad.md; the mask grows over the first `growing` iterations (0: fixed from the start)."""
    dead, per_row = dead_inputs(gram), granularity == "row"
    norm = np.sqrt(np.diag(gram))
    norm[dead] = 1.0
    system = damped(gram / np.outer(norm, norm), damping)
    start = weight * norm
    inverse = np.linalg.inv(system + np.eye(len(gram)))
    primal, dual = start.copy(), np.zeros_like(start)
    for step in range(1, iterations + 1):
        if step == 1 or step <= growing:
            scores = np.abs(primal + dual)
            scores[:, dead] = -1.0
            pruned = select_part(scores, asked, step, growing, per_row=per_row)
        split = np.where(pruned, 0.0, primal + dual)
        dual = dual + primal - split
        primal = (start @ system + split - dual) @ inverse
    return Pruned(np.where(pruned, 0.0, primal + dual) / norm, pruned)


def admm1_rows(weight: Array, gram: Array, asked: Ask, iterations: int = 20, damping: float = 0.1, granularity: str = "row") -> Pruned:
    return admm_rows(weight, gram, asked, iterations, damping, granularity, 0)


def admm_grad_rows(weight: Array, gram: Array, asked: Ask, iterations: int = 20, damping: float = 0.1,
                   granularity: str = "layer") -> Pruned:
    return admm_rows(weight, gram, asked, iterations, damping, granularity, max(1, iterations * 3 // 4))


def adaprune_rows(weight: Array, gram: Array, asked: Ask, mask: str = "wanda", granularity: str = "row", optimizer: str = "adam",
                  iterations: int = 200, learning_rate: float = 1.0) -> Pruned:
    pruned = {"wanda": wanda_rows, "magnitude": magnitude_rows}[mask](weight, gram, asked, granularity).pruned
    found, size, energy = np.where(pruned, 0.0, weight), math.sqrt(np.mean(weight**2)), np.mean(np.diag(gram))
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    if energy == 0 or size == 0:
        return Pruned(found, pruned)
    for step in range(1, iterations + 1):
        gradient = np.where(pruned, 0.0, (found - weight) @ gram)
        if optimizer == "sgd":
            bound = min(math.sqrt((gram**2).sum()), max(np.abs(row).sum() for row in gram))
            found = found - learning_rate / bound * gradient
            continue
        gradient = gradient / (energy * size)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        found = found - 0.01 * learning_rate * size * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return Pruned(found, pruned)


def dsnot_rows(weight: Array, gram: Array, asked: Ask, mean: Array, tokens: int, mask: str = "wanda", cycles: int = 50,
               threshold: float = 0.1) -> Pruned:
    """Row by row: the pruned entry that brings the mean output nearest to right, per variance, for the cheapest kept one that helps."""
    start = {"wanda": lambda: wanda_rows(weight, gram, asked, "row"), "magnitude": lambda: magnitude_rows(weight, gram, asked, "layer"),
             "sparsegpt": lambda: sparsegpt_rows(weight.copy(), gram, asked, 128, 0.01)}
    pruned, columns, square = start[mask]().pruned.copy(), weight.shape[1], np.diag(gram) / tokens
    variance = np.maximum(square - mean**2, np.finfo(float).eps * square)
    group = [j // asked.groups[1] if asked.groups else 0 for j in range(columns)]
    for i, row in enumerate(weight):
        off = sum(row[k] * mean[k] for k in range(columns) if pruned[i, k])
        for _ in range(cycles):
            if abs(off) <= threshold * math.sqrt(row @ gram @ row / tokens):
                break
            gains = np.sign(off) * row * mean
            partners = {k: [j for j in range(columns) if not pruned[i, j] and gains[j] < 0 and group[j] == group[k]]
                        for k in range(columns) if pruned[i, k] and gains[k] > 0}
            grown = max((k for k in partners if partners[k]), key=lambda k: (gains[k] / variance[k], -k), default=None)
            if grown is None:
                break
            gone = min(partners[grown], key=lambda j: (abs(row[j]) * math.sqrt(gram[j, j]), j))
            after = off - row[grown] * mean[grown] + row[gone] * mean[gone]
            if abs(after) >= abs(off):
                break
            pruned[i, grown], pruned[i, gone], off = False, True, after
    return Pruned(np.where(pruned, 0.0, weight), pruned)
