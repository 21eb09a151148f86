"""Rows that α keeps dense, and inputs that no calibration token used."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core import SemiStructured, Structured, Unstructured
from tests import oracles
from tests.core.methods.cases import (
    LAYERS,
    PATTERNS,
    arrays_of,
    changed,
    combinations,
    drained,
    every_method,
    every_way,
    given_layer,
    refused,
    solve,
)

# Dead inputs.
QUARTER = {"0.5": Unstructured(sparsity=1 / 4), "columns": Structured(sparsity=1 / 4), "2:4": SemiStructured(n=1, m=4)}


@combinations("way, pattern", list(QUARTER), kinds=True)
def test_dead_inputs_go_first_and_cost_nothing(layer, way, pattern):
    """One dead input in each group of four is just what each of these patterns asks for, however large their weights are."""
    problem, dead = layer(5, 16, dead=(1, 4, 10, 15)), torch.zeros(16, dtype=torch.bool)
    dead[[1, 4, 10, 15]] = True
    problem = changed(problem, weight=torch.where(dead, 1000 * problem.weight, problem.weight))
    if way.name == "sparsegpt" and way.block_size % 16 and pattern != "2:4":
        pytest.skip("SparseGPT spends a block's share in the block, dead inputs or not")
    solution = way(problem, QUARTER[pattern])
    assert torch.equal(solution.pruned, dead.expand(5, 16))
    assert torch.equal(solution.weight[:, ~dead], problem.weight[:, ~dead])
    assert solution.relative_error == 0


@combinations("name, pattern, damping", ("0.5", "2:4", "columns"), (0.0, 0.01), subjects=["sparsegpt", "thanos"])
def test_dead_inputs_do_not_count_in_the_losses(layer, name, pattern, damping):
    problem = layer(**LAYERS["dead inputs"])
    dead = list(LAYERS["dead inputs"]["dead"])
    weight, gram = arrays_of(problem)
    seen, solution = drained(problem, name, PATTERNS[pattern], block_size=8, damping=damping)
    change = solution.weight.numpy() - weight
    change[:, dead] = 0
    assert seen[-1][3] == pytest.approx(oracles.error(change, np.zeros_like(change), oracles.damped(gram, damping)))


@every_way
def test_a_kept_dead_input_keeps_its_weights(layer, way):
    problem = layer(**LAYERS["dead inputs"])
    dead = list(LAYERS["dead inputs"]["dead"])
    solution = way(problem, Unstructured(sparsity=0.05))
    kept = ~solution.pruned[:, dead]
    assert kept.any()
    assert torch.equal(solution.weight[:, dead][kept], problem.weight[:, dead][kept])


@combinations("way, pattern", list(PATTERNS), patterns=True)
def test_a_layer_of_dead_inputs_is_pruned_without_error(way, pattern):
    problem = given_layer(torch.ones(4, 12), torch.zeros(12, 12))
    solution = way(problem, PATTERNS[pattern])
    assert solution.relative_error == 0
    assert torch.equal(solution.weight, torch.ones(4, 12).masked_fill(solution.pruned, 0))


# Outlier rows.
KEPT = ((10, 0.1, 1), (10, 0.11, 2), (7, 0.5, 4), (10, 0.0, 0), (1, 0.1, 1), (2, 0.9, 2), (5, 0.99, 5))  # rows, α, how many stay
LITTLE = {"0.5": Unstructured(sparsity=0.005), "columns": Structured(sparsity=0.005), "2:4": SemiStructured(n=2, m=4)}


@every_method
def test_the_rows_of_most_energy_stay_dense(layer, name):
    for place, (rows, alpha, dense) in enumerate(KEPT):
        pattern = list(LITTLE.values())[place % 3]
        if refused(name, pattern):
            continue
        problem = layer(rows, 12)
        solution = solve(problem, name, pattern.model_copy(update={"outlier_rows": alpha}))
        energy = oracles.energies(*arrays_of(problem))
        assert solution.dense_rows.tolist() == sorted(np.argsort(-energy)[:dense].tolist())
        assert torch.equal(solution.weight[solution.dense_rows], problem.weight[solution.dense_rows])
        if dense == rows:
            assert torch.equal(solution.weight, problem.weight)


@every_method
def test_rows_of_equal_energy_stay_dense_in_their_order(name):
    problem = given_layer(torch.ones(6, 4), torch.eye(4))
    assert solve(problem, name, Unstructured(sparsity=0.5, outlier_rows=0.5)).dense_rows.tolist() == [0, 1, 2]


@every_method
def test_alpha_is_paid_for_as_its_budget_says(layer, name):
    problem = layer(20, 40)
    paper = solve(problem, name, Unstructured(sparsity=0.5, outlier_rows=0.1))
    iso = solve(problem, name, Unstructured(sparsity=0.5, outlier_rows=0.1, alpha_budget="iso"))
    assert paper.counted_sparsity == pytest.approx(0.45)
    assert iso.counted_sparsity == pytest.approx(0.5, abs=1 / 40)
    assert iso.pruned[iso.dense_rows].sum() == 0
    columns = Structured(sparsity=0.27, outlier_rows=0.1)
    if not refused(name, columns):
        assert solve(problem, name, columns).counted_sparsity == pytest.approx(0.27)


@every_way
def test_active_rows_are_pruned_as_if_they_were_alone(layer, way):
    problem = layer(10, 24)
    solution = way(problem, Unstructured(sparsity=0.5, outlier_rows=0.2))
    active = torch.tensor([i for i in range(10) if i not in solution.dense_rows.tolist()])
    alone = changed(problem, weight=problem.weight[active])
    assert torch.equal(way(alone, Unstructured(sparsity=0.5)).weight, solution.weight[active])
