"""One method in terms of another, and of the optimum for its mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core import LayerProblem, Structured, Unstructured, optimum
from core.spec import METHODS
from tests import oracles
from tests.core.methods.cases import LAYERS, PATTERNS, SOME, arrays_of, combinations, refused, solve


@pytest.mark.parametrize(("shape", "sparsity"), [("16x32", 0.3), ("dead inputs", 0.8), ("rank-deficient", 0.3)])
def test_thanos_with_blocks_of_one_is_the_sweep_of_sparsegpt(layer, shape, sparsity):
    problem = layer(**LAYERS[shape])
    solution = solve(problem, "thanos", Unstructured(sparsity=sparsity), block_size=1)
    swept, _ = oracles.sweep(*arrays_of(problem), solution.pruned.numpy(), 0.01)
    np.testing.assert_allclose(solution.weight.numpy(), swept, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("block_size", [1, 5, 8, 32])
def test_thanos_with_blocks_of_one_equals_sparsegpt_on_the_same_mask(layer, block_size):
    """Half of every column is a thousand times smaller than the rest: both methods choose it, whatever the block."""
    random, small = layer(8, 32), torch.tensor(np.indices((8, 32)).sum(0) % 2 == 0)
    weight = torch.where(small, 1e-3, 1.0) * (random.weight.sign() + 0.1 * random.weight)
    problem = LayerProblem(weight=weight, gram=random.gram, tokens=9)
    one = solve(problem, "thanos", Unstructured(sparsity=0.5), block_size=1)
    other = solve(problem, "sparsegpt", Unstructured(sparsity=0.5), block_size=block_size)
    assert torch.equal(one.pruned, small)
    assert torch.equal(other.pruned, small)
    torch.testing.assert_close(one.weight - problem.weight, other.weight - problem.weight, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("pattern", "block_size"), [("0.5", 1), ("0.9", 7), ("5:8", 16), ("columns", 128), ("0.5", 128), ("columns", 7)])
def test_sparsegpt_is_the_sweep_whatever_its_block(layer, pattern, block_size):
    problem = layer(**LAYERS["16x32"])
    solution = solve(problem, "sparsegpt", PATTERNS[pattern], block_size=block_size)
    swept, _ = oracles.sweep(*arrays_of(problem), solution.pruned.numpy(), 0.01)
    np.testing.assert_allclose(solution.weight.numpy(), swept, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_thanos_with_one_block_is_the_damped_optimum_whatever_its_size(layer, pattern):
    problem = layer(**LAYERS["16x32"])
    weight, gram = arrays_of(problem)
    for damping, size in ((0.01, 32), (0.5, 1000)):
        solution = solve(problem, "thanos", PATTERNS[pattern], block_size=size, damping=damping)
        best = oracles.best_weights(weight, oracles.damped(gram, damping), solution.pruned.numpy())
        np.testing.assert_allclose(solution.weight.numpy(), best, rtol=1e-7, atol=1e-9)
        assert torch.equal(solve(problem, "thanos", PATTERNS[pattern], block_size=40, damping=damping).weight, solution.weight)
        if PATTERNS[pattern].kind == "structured":
            assert torch.equal(solve(problem, "thanos", PATTERNS[pattern], block_size=3, damping=damping).weight, solution.weight)


def test_the_structured_update_is_the_general_row_update(layer):
    problem = layer(6, 40)
    weight, gram = arrays_of(problem)
    solution = solve(problem, "thanos", Structured(sparsity=0.4))
    inverse = np.linalg.inv(oracles.damped(gram, 0.01))
    gone = np.flatnonzero(solution.pruned[0].numpy())
    for i in range(6):
        row, _ = oracles.remove(weight[i], list(gone), inverse, [])
        np.testing.assert_allclose(solution.weight[i].numpy(), row, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("pattern", ["0.5", "2:4", "columns"])
def test_frontier_leaves_less_than_the_others(layer, pattern):
    """Not a law, but what it is for: on correlated inputs with unequal energies."""
    problem = layer(24, 64, tokens=400)
    errors = {name: solve(problem, name, PATTERNS[pattern]).relative_error for name in METHODS
              if name != "obc" and not refused(name, PATTERNS[pattern])}
    ours = errors.pop("frontier")
    assert ours < min(errors.values())


def test_a_fixed_mask_is_wandas(layer):
    problem = layer(6, 24)
    for within in ("layer", "row"):
        fixed, simple = (solve(problem, name, PATTERNS["0.5"], granularity=within) for name in ("admm1", "wanda"))
        assert torch.equal(fixed.pruned, simple.pruned)
        assert fixed.relative_error < simple.relative_error


@pytest.mark.parametrize(("name", "parameters"), [
    ("admm1", {"iterations": 3000, "damping": 0.05}), ("admm-grad", {"iterations": 3000, "damping": 0.05}),
    ("frontier", {"polish": 300, "damping": 0.05}), ("obc", {"damping": 0.05}),
])
@pytest.mark.parametrize("pattern", ["0.5", "2:4"])
def test_enough_iterations_reach_the_damped_optimum(layer, name, parameters, pattern):
    problem = layer(**LAYERS["16x32"])
    weight, gram = arrays_of(problem)
    solution = solve(problem, name, PATTERNS[pattern], **parameters)
    norm = np.sqrt(np.diag(gram)) if name.startswith("admm") else np.ones(32)
    system = oracles.damped(gram / np.outer(norm, norm), parameters["damping"])
    best = oracles.best_weights(weight * norm, system, solution.pruned.numpy()) / norm
    np.testing.assert_allclose(solution.weight.numpy(), best, rtol=1e-4, atol=1e-5)


def test_gradient_descent_never_climbs_and_adam_gets_further(layer):
    problem = layer(12, 32)
    descent = [solve(problem, "adaprune", PATTERNS["0.5"], optimizer="sgd", iterations=k).relative_error for k in (1, 2, 5, 20, 80)]
    assert descent == sorted(descent, reverse=True)
    assert descent[0] < solve(problem, "wanda", PATTERNS["0.5"]).relative_error
    assert solve(problem, "adaprune", PATTERNS["0.5"], iterations=80).relative_error < descent[-1]


def test_obc_is_the_best_next_removal(layer):
    """For one removal a row, and for one column, greedy is exact: every other choice costs more."""
    problem = layer(3, 9)
    weight, gram = arrays_of(problem)
    hessian = oracles.damped(gram, 0.01)
    for pattern, axis in ((Unstructured(sparsity=0.12), 0), (Structured(sparsity=0.1), None)):
        pruned = solve(problem, "obc", pattern, granularity="row").pruned.numpy()
        for i in range(3) if axis == 0 else [slice(None)]:
            costs = []
            for j in range(9):
                mask = np.zeros_like(pruned)
                mask[i, j] = True
                costs.append(oracles.least_error(weight, hessian, mask))
            assert pruned[i].reshape(-1, 9)[0].nonzero()[0].tolist() == [int(np.argmin(costs))]


@combinations("way, pattern, shape", SOME, ("16x32", "dead inputs", "rank-deficient"))
def test_no_method_beats_the_optimum_and_the_refit_reaches_it(layer, way, pattern, shape):
    problem = layer(**LAYERS[shape])
    weight, gram = arrays_of(problem)
    plain = way(problem, PATTERNS[pattern])
    refit = way(problem, PATTERNS[pattern], refit=True)
    least = oracles.least_error(weight, gram, plain.pruned.numpy()) / oracles.energies(weight, gram).sum()
    best = problem.relative(problem.error(optimum(problem, plain.pruned)))
    assert best == pytest.approx(least, rel=1e-3, abs=1e-7)
    assert plain.relative_error >= least * (1 - 1e-9) - 1e-9
    assert torch.equal(refit.pruned, plain.pruned)
    assert least * (1 - 1e-9) - 1e-9 <= refit.relative_error <= plain.relative_error * (1 + 1e-9)
    slack = 0.01 * plain.relative_error if shape == "rank-deficient" else 1e-9  # there the optimum may be 0
    assert refit.relative_error <= 1.01 * least + slack
    assert not refit.weight[refit.pruned].any()
    assert torch.equal(refit.weight[refit.dense_rows], problem.weight[refit.dense_rows])
