"""Textbook pruning in float64 numpy: explicit inverses, Python loops, row by row. Slow on purpose; nothing here imports core.

Written from docs/methods. The papers' factors of 2 cancel, so H = G + λ·mean(diag G)·I. Patterns are read by their fields only;
their counts are derived here again, in exact fractions.

    layers       random layers, errors, damping, inverses, the least possible error
    masks        entries, groups and columns chosen by sorting
    sweeps       Magnitude, Wanda, SparseGPT, Thanos
    iterations   ADMM₁, ADMM-Grad, AdaPrune, DSnoT
    removals     OBC
    frontier     Frontier, ALPS
"""

from __future__ import annotations

import numpy as np

from tests.oracles.frontier import alps_rows, frontier_rows
from tests.oracles.iterations import adaprune_rows, admm1_rows, admm_grad_rows, dsnot_rows
from tests.oracles.layers import (
    Array,
    Mask,
    Pruned,
    Step,
    best_weights,
    damped,
    energies,
    error,
    least_error,
    random_inputs,
    random_layer,
    relative_error,
    remove,
)
from tests.oracles.masks import Ask, ask, select, select_part, smallest, smallest_columns, smallest_in_groups, smallest_per_row, zeros_asked
from tests.oracles.removals import obc_rows
from tests.oracles.sweeps import magnitude_rows, sparsegpt_rows, sweep, thanos_rows, wanda_rows

__all__ = [
    "TEXTBOOK", "Array", "Ask", "Mask", "Pruned", "Step", "ask", "best_weights", "damped", "energies", "error", "least_error",
    "random_inputs", "random_layer", "relative_error", "remove", "run", "select", "select_part", "smallest", "smallest_columns",
    "smallest_in_groups", "smallest_per_row", "sweep", "zeros_asked",
]

TEXTBOOK = {
    "magnitude": magnitude_rows, "wanda": wanda_rows, "sparsegpt": sparsegpt_rows, "thanos": thanos_rows, "admm1": admm1_rows,
    "admm-grad": admm_grad_rows, "frontier": frontier_rows, "obc": obc_rows, "adaprune": adaprune_rows, "dsnot": dsnot_rows,
    "alps": alps_rows,
}


def run(name: str, weight: Array, gram: Array, pattern: object, **parameters: object) -> Pruned:
    """Prune a layer by a method's name: outlier rows set aside, the rest pruned, put together again."""
    asked = ask(weight, gram, pattern)
    whole, pruned = weight.copy(), np.zeros(weight.shape, dtype=bool)
    if not asked.active:
        return Pruned(whole, pruned, asked.dense)
    part = TEXTBOOK[name](weight[asked.active].copy(), gram, asked, **parameters)
    whole[asked.active], pruned[asked.active] = part.weight, part.pruned
    return Pruned(whole, pruned, asked.dense, part.steps)
