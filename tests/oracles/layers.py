"""Random layers, their errors, damping and inverses, and the least possible error for a mask."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass
class Step:
    """One block: its columns, its mask [c, width], the whole weight [c, b] after it, and what its removals cost."""

    start: int
    end: int
    pruned: Mask
    weight: Array
    loss: float


@dataclass
class Pruned:
    """What a textbook run ends with. `dense_rows` are the rows that α keeps; `steps` see the active rows only."""

    weight: Array
    pruned: Mask
    dense_rows: list[int] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def random_layer(rows: int, columns: int, **options: object) -> tuple[Array, Array]:
    """W [c, b] and G = XXᵀ [b, b] of `random_inputs`."""
    weight, inputs = random_inputs(rows, columns, **options)
    return weight, inputs @ inputs.T


def random_inputs(rows: int, columns: int, *, tokens: int | None = None, dead: tuple[int, ...] = (), seed: int = 0,
                  shift: float = 0.0) -> tuple[Array, Array]:
    """W [c, b] and correlated inputs X [b, T] with unequal energies; T < b makes XXᵀ rank-deficient, `shift` spreads their means."""
    rng = np.random.default_rng([seed, rows, columns])
    tokens = 3 * columns + 8 if tokens is None else tokens
    mixing = rng.standard_normal((columns, columns)) / math.sqrt(columns) + np.eye(columns)
    inputs = (mixing @ rng.standard_normal((columns, tokens))) * np.exp(rng.normal(0, 0.7, (columns, 1)))
    weight = rng.standard_normal((rows, columns)) * np.exp(rng.normal(0, 0.3, (rows, 1)))
    inputs += shift * rng.standard_normal((columns, 1))
    inputs[list(dead)] = 0.0
    return weight, inputs


def error(weight: Array, other: Array, matrix: Array) -> float:
    """tr(Δ M Δᵀ), row by row."""
    return sum(float((v - w) @ matrix @ (v - w)) for w, v in zip(weight, other, strict=True))


def relative_error(weight: Array, other: Array, gram: Array) -> float:
    return error(weight, other, gram) / error(np.zeros_like(weight), weight, gram)


def energies(weight: Array, gram: Array) -> Array:
    """h_i = W_i G W_iᵀ."""
    return np.array([row @ gram @ row for row in weight])


def damped(gram: Array, damping: float) -> Array:
    """H = G + λ·mean(diag G)·I, the mean over all inputs."""
    return gram + damping * np.mean(np.diag(gram)) * np.eye(len(gram))


def dead_inputs(gram: Array) -> list[int]:
    return [j for j in range(len(gram)) if gram[j, j] == 0]


def trailing_inverse(hessian: Array, start: int, dead: list[int]) -> Array:
    """[H_{j:,j:}]⁻¹ over the live inputs from `start` on, indexed like H; zero wherever an input is dead or already passed."""
    live = [j for j in range(start, len(hessian)) if j not in dead]
    inverse = np.zeros_like(hessian)
    inverse[np.ix_(live, live)] = np.linalg.inv(hessian[np.ix_(live, live)])
    return inverse


def remove(row: Array, gone: list[int], inverse: Array, dead: list[int]) -> tuple[Array, float]:
    """OBS for several weights at once: Δw = −u·(H⁻¹_SS)⁻¹·H⁻¹_S: and its cost u (H⁻¹_SS)⁻¹ uᵀ. Dead inputs cost nothing."""
    live = [j for j in gone if j not in dead]
    row, cost = row.copy(), 0.0
    if live:
        multipliers = row[live] @ np.linalg.inv(inverse[np.ix_(live, live)])
        cost = float(multipliers @ row[live])
        row = row - multipliers @ inverse[live]
    row[gone] = 0.0
    return row, cost


def best_weights(weight: Array, matrix: Array, pruned: Mask) -> Array:
    """Row by row the least-squares weights that vanish on the mask: w_K = (M_KK)⁺ M_K: wᵀ."""
    best = np.zeros_like(weight)
    for i in range(len(weight)):
        kept = np.flatnonzero(~pruned[i])
        if len(kept):
            best[i, kept] = np.linalg.lstsq(matrix[np.ix_(kept, kept)], matrix[kept] @ weight[i], rcond=1e-13)[0]
    return best


def least_error(weight: Array, matrix: Array, pruned: Mask) -> float:
    return error(weight, best_weights(weight, matrix, pruned), matrix)
