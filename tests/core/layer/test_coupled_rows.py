"""Coupled rows: against Kronecker systems in float64 numpy, and against every mask there is."""

import itertools

import numpy as np
import pytest
import torch

from core import LayerProblem, solve
from core.layer.coupled_rows import aim, coupled_cg, turns, uncoupled
from core.spec.methods import METHODS
from core.spec.patterns import parse_pattern
from tests import oracles


def coupling_of(rows: int, *, strength: float = 1.0, unit: bool = True) -> torch.Tensor:
    """A positive definite matrix [c, c], float64; of unit diagonal, or as uneven as a Fisher information."""
    generator = torch.Generator().manual_seed(rows)
    mix = torch.eye(rows, dtype=torch.float64) + strength * torch.randn(rows, rows, generator=generator, dtype=torch.float64) / rows**0.5
    matrix = mix @ mix.T + 0.05 * torch.eye(rows, dtype=torch.float64)
    scale = matrix.diagonal().rsqrt() * (1 if unit else torch.rand(rows, generator=generator, dtype=torch.float64) * 3 + 0.1)
    return matrix * scale * scale[:, None]


def layer(rows: int, columns: int, weights: torch.Tensor | None = None, *, dtype: torch.dtype = torch.float64) -> LayerProblem:
    weight, gram = oracles.random_layer(rows, columns, seed=7)
    return LayerProblem(weight=torch.tensor(weight, dtype=dtype), gram=torch.tensor(gram, dtype=dtype), tokens=4 * columns,
                        output_weight=None if weights is None else weights.to(dtype))


def cost(problem: LayerProblem, weight: torch.Tensor, weights: torch.Tensor, damping: float = 0.0) -> float:
    """tr(VΔHΔᵀ), float64."""
    change = (weight - problem.weight).double()
    return float((weights.double() @ change @ problem.hessian(damping).double() * change).sum())


def least(problem: LayerProblem, weights: np.ndarray, pruned: np.ndarray, damping: float) -> float:
    """The least tr(VΔHΔᵀ) for a mask: one system for all kept entries, by V ⊗ H."""
    big = np.kron(weights, oracles.damped(problem.gram.numpy(), damping))
    kept, gone = np.flatnonzero(~pruned.ravel()), np.flatnonzero(pruned.ravel())
    lost = problem.weight.numpy().ravel()[gone]
    inner = big[np.ix_(gone, gone)] - big[np.ix_(gone, kept)] @ np.linalg.solve(big[np.ix_(kept, kept)], big[np.ix_(kept, gone)])
    return float(lost @ inner @ lost)


@pytest.mark.parametrize(("rows", "columns"), [(1, 6), (5, 1), (6, 9), (12, 20)])
def test_conjugate_gradients_reach_the_kronecker_system_s_solution(rows, columns):
    problem, coupling = layer(rows, columns), coupling_of(rows)
    hessian, weight = problem.hessian(0.01), problem.weight.clone()
    pruned = torch.rand(rows, columns, generator=torch.Generator().manual_seed(0)) < 0.5
    weight.masked_fill_(pruned, 0)
    residual = (problem.weight - weight) @ hessian
    coupled_cg(coupling, hessian, weight, residual, pruned, iterations=300)
    assert not weight[pruned].any()
    torch.testing.assert_close(residual, (problem.weight - weight) @ hessian, rtol=1e-8, atol=1e-8)
    found, best = cost(problem, weight, coupling, 0.01), least(problem, coupling.numpy(), pruned.numpy(), 0.01)
    assert found == pytest.approx(best, rel=1e-9, abs=1e-12)


def test_a_row_s_aim_stands_for_all_the_others():
    """Whatever a row becomes, tr(CΔHΔᵀ) moves as its distance from the aim does."""
    problem, coupling = layer(6, 10), coupling_of(6)
    hessian = problem.hessian(0.01)
    generator = torch.Generator().manual_seed(1)
    now = problem.weight * (torch.rand(6, 10, generator=generator, dtype=torch.float64) < 0.5)
    for row in range(6):
        goal = aim(coupling, problem.weight, now, torch.tensor([row]))[0]
        after = now.clone()
        after[row] = torch.randn(10, generator=generator, dtype=torch.float64)
        moved = cost(problem, after, coupling, 0.01) - cost(problem, now, coupling, 0.01)
        apart = [float((part[row] - goal) @ hessian @ (part[row] - goal)) for part in (after, now)]
        assert moved == pytest.approx(apart[0] - apart[1], rel=1e-9)


@pytest.mark.parametrize(("coupling", "count"), [
    (torch.eye(9), 1),
    (0.9 * torch.ones(8, 8) + 0.1 * torch.eye(8), 4),
    (torch.full((7, 7), 0.999) + 0.001 * torch.eye(7), 4),
    (torch.ones(1, 1), 1),
])
def test_rows_that_may_move_together(coupling, count):
    found = turns(coupling)
    assert len(found) == count
    assert sorted(torch.cat(found).tolist()) == list(range(len(coupling)))
    assert all(torch.linalg.eigvalsh(coupling[rows][:, rows])[-1] <= 2.0 for rows in found)


def test_for_whole_columns_the_rows_come_apart():
    problem, coupling = layer(5, 8), coupling_of(5)
    change = problem.weight * torch.tensor([1, 0, 0, 1, 1, 0, 1, 0])
    apart = uncoupled(coupling, change)
    hessian = problem.hessian(0.01)
    assert float((apart @ hessian * apart).sum()) == pytest.approx(float((coupling @ change @ hessian * change).sum()), rel=1e-12)


def test_frontier_comes_nearer_to_the_best_of_all_masks():
    """Three rows of 2:4: 216 masks, each at its best. It is a search row by row: not the best, but nearer than rows on their own."""
    pairs = [np.isin(np.arange(4), pair) for pair in itertools.combinations(range(4), 2)]
    ratios: list[list[float]] = [[], []]
    for seed in range(10):
        weight, gram = oracles.random_layer(3, 4, seed=seed)
        weights = coupling_of(3, strength=2.0, unit=False)
        problem = LayerProblem(weight=torch.tensor(weight), gram=torch.tensor(gram), tokens=16)
        best = min(least(problem, weights.numpy(), np.array(mask), 0.003) for mask in itertools.product(pairs, repeat=3))
        for taken, kept in ((weights, ratios[0]), (weights.diagonal(), ratios[1])):
            found = solve(problem.with_weight(problem.weight, output_weight=taken), "frontier", parse_pattern("2:4"))
            kept.append(least(problem, weights.numpy(), found.pruned.numpy(), 0.003) / best)
    assert min(ratios[0]) >= 1 - 1e-9
    apart = [np.exp(np.log(kept).mean()) for kept in ratios]
    assert apart[0] < 0.8 * apart[1]


def test_frontier_takes_the_best_columns():
    """Two of seven columns, every pair tried."""
    weights = coupling_of(6, strength=2.0, unit=False)
    problem = layer(6, 7, weights)
    found = solve(problem, "frontier", parse_pattern("columns:0.2857"))
    costs = {pair: least(problem, weights.numpy(), np.broadcast_to(np.isin(np.arange(7), pair), (6, 7)), 0.003)
             for pair in itertools.combinations(range(7), 2)}
    assert tuple(found.pruned[0].nonzero()[:, 0].tolist()) == min(costs, key=costs.__getitem__)
    assert cost(problem, found.weight, weights, 0.003) == pytest.approx(min(costs.values()), rel=1e-6)


@pytest.mark.parametrize("word", ["0.5", "0.7", "2:4", "columns:0.3"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_coupled_error_falls(word, dtype):
    weights = coupling_of(40, unit=False)
    usual = solve(layer(40, 48, weights.diagonal(), dtype=dtype), "frontier", parse_pattern(word))
    found = solve(layer(40, 48, weights, dtype=dtype), "frontier", parse_pattern(word))
    problem = layer(40, 48, dtype=dtype)
    assert found.counted_sparsity == usual.counted_sparsity
    assert not found.weight[found.pruned].any()
    if word == "2:4":
        assert (found.pruned.unflatten(1, (-1, 4)).sum(2) == 2).all()
    most = 1.0 if word.startswith("columns") else 0.7
    assert cost(problem, found.weight, weights) < most * cost(problem, usual.weight, weights)
    assert found.relative_error >= usual.relative_error, "the error told counts all outputs the same"


@pytest.mark.parametrize("word", ["0.5", "2:4", "columns:0.3"])
def test_a_diagonal_matrix_is_as_good_as_its_diagonal(word):
    diagonal = torch.rand(20, generator=torch.Generator().manual_seed(2), dtype=torch.float64) + 0.2
    alone, matrix = (solve(layer(20, 32, weights), "frontier", parse_pattern(word), steps=20) for weights in (diagonal, diagonal.diag()))
    costs = [cost(layer(20, 32), found.weight, diagonal.diag()) for found in (alone, matrix)]
    assert costs[1] < 1.03 * costs[0], "one system for all rows takes other steps than one for each"


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.couples and name != "dsnot"])
def test_methods_that_take_rows_alone_see_the_diagonal(name):
    weights = coupling_of(16, unit=False)
    alone, matrix = (solve(layer(16, 24, given), name, parse_pattern("0.5")) for given in (weights.diagonal(), weights))
    assert torch.equal(alone.weight, matrix.weight)


@pytest.mark.parametrize("word", ["0.5", "columns:0.2"])
def test_rows_that_alpha_keeps_have_no_errors_to_make_up_for(word):
    weights = coupling_of(20, unit=False)
    found = solve(layer(20, 32, weights), "frontier", parse_pattern(word, alpha=0.2))
    assert torch.equal(found.weight[found.dense_rows], layer(20, 32).weight[found.dense_rows])
    active = torch.tensor([row for row in range(20) if row not in found.dense_rows.tolist()])
    rest = layer(20, 32).with_weight(layer(20, 32).weight[active], output_weight=weights[active][:, active])
    change = found.weight[active]
    if word == "0.5":
        assert cost(rest, change, weights[active][:, active]) < cost(rest, rest.weight * ~found.pruned[active], weights[active][:, active])
    else:
        count = found.pruned[0 if 0 in active.tolist() else active[0]].sum()
        expected = solve(rest, "frontier", parse_pattern(f"columns:{count / 32}"))
        torch.testing.assert_close(change, expected.weight)


def test_layers_that_are_too_wide_to_be_searched_are_coupled_too():
    weights = coupling_of(24, unit=False)
    usual, found = (solve(layer(24, 64, given), "frontier", parse_pattern("0.5"), search=24) for given in (weights.diagonal(), weights))
    assert found.counted_sparsity == 0.5
    assert cost(layer(24, 64), found.weight, weights) < 0.8 * cost(layer(24, 64), usual.weight, weights)


def test_the_same_twice():
    first, second = (solve(layer(30, 40, coupling_of(30, unit=False), dtype=torch.float32), "frontier", parse_pattern("0.6")) for _ in "ab")
    assert torch.equal(first.weight, second.weight)
