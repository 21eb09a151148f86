"""The layer, its errors and its optimum, against float64 loops; and what a layer refuses to be."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from core import BadInput, IllConditioned, LayerProblem, Unstructured, optimum, solve
from core.layer.optimum import optimum_error
from tests import oracles


def arrays_of(problem: LayerProblem) -> tuple[np.ndarray, np.ndarray]:
    return problem.weight.double().numpy(), problem.gram.double().numpy()


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (7, 1), (6, 33)])
def test_error_energy_and_row_energy(layer, rows, columns):
    problem = layer(rows, columns)
    weight, gram = arrays_of(problem)
    other = weight * np.random.default_rng(0).random(weight.shape)
    assert float(problem.error(torch.tensor(other))) == pytest.approx(oracles.error(weight, other, gram))
    assert float(problem.energy()) == pytest.approx(oracles.energies(weight, gram).sum())
    np.testing.assert_allclose(problem.row_energy().numpy(), oracles.energies(weight, gram), rtol=1e-12)
    assert problem.relative(problem.error(torch.tensor(other))) == pytest.approx(oracles.relative_error(weight, other, gram))


def test_removing_everything_is_a_relative_error_of_one(layer):
    problem = layer(4, 9)
    assert problem.relative(problem.error(torch.zeros(4, 9))) == pytest.approx(1.0)


def test_a_layer_without_energy_has_no_error():
    problem = LayerProblem(weight=torch.ones(2, 3), gram=torch.zeros(3, 3), tokens=5)
    solution = solve(problem, "thanos", Unstructured(sparsity=0.5))
    assert solution.relative_error == 0
    assert solution.pruned.sum() == 3


@pytest.mark.parametrize(("weight", "gram", "working"), [
    (torch.float16, torch.float32, torch.float32), (torch.bfloat16, torch.float32, torch.float32),
    (torch.float32, torch.float32, torch.float32), (torch.float32, torch.float64, torch.float64),
    (torch.float64, torch.float32, torch.float64), (torch.float16, torch.float64, torch.float64),
])
def test_arithmetic_is_at_least_float32(weight, gram, working):
    problem = LayerProblem(weight=torch.ones(2, 3, dtype=weight), gram=torch.eye(3, dtype=gram), tokens=5)
    assert problem.dtype == working
    assert problem.hessian(0.01).dtype == working


def test_a_layer_is_frozen_and_keyword_only():
    problem = LayerProblem(weight=torch.ones(2, 3), gram=torch.eye(3), tokens=5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.tokens = 6
    with pytest.raises(TypeError):
        LayerProblem(torch.ones(2, 3), torch.eye(3), 5)


@pytest.mark.parametrize(("weight", "gram", "field"), [
    (torch.ones(3), torch.eye(3), "weight"), (torch.ones(2, 3, 4), torch.eye(3), "weight"),
    (torch.ones(0, 3), torch.eye(3), "weight"), (torch.ones(2, 3, dtype=torch.int64), torch.eye(3), "weight"),
    (torch.ones(2, 3), torch.eye(2), "gram"),
    (torch.ones(2, 3), torch.ones(3), "gram"), (torch.ones(2, 3), torch.ones(2, 3), "gram"),
    (torch.ones(2, 3), torch.eye(3, dtype=torch.float16), "gram"), (torch.ones(2, 3), torch.eye(3, dtype=torch.int64), "gram"),
])
def test_what_a_layer_refuses(weight, gram, field):
    with pytest.raises(BadInput) as caught:
        LayerProblem(weight=weight, gram=gram, tokens=5)
    assert caught.value.field == field
    assert caught.value.allowed
    assert caught.value.remedy


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["weight", "gram"])
def test_numbers_that_are_not_finite_are_refused(where, value):
    parts = {"weight": torch.ones(2, 3), "gram": torch.eye(3)}
    parts[where][1, 1] = value
    with pytest.raises(BadInput, match="finite"):
        LayerProblem(**parts, tokens=5, name="blocks.0.q")


@pytest.mark.parametrize("mean", [
    torch.ones(2), torch.ones(3, 1), torch.ones(3, dtype=torch.int64), torch.full((3,), math.nan), torch.tensor([0.1, 0.1, -0.5]),
])
def test_means_that_are_not_the_inputs_are_refused(mean):
    """The last one's square is more than diag(G)/T = 1/5: a sum, perhaps."""
    with pytest.raises(BadInput, match=r"mean: .* Pass "):
        LayerProblem(weight=torch.ones(2, 3), gram=torch.eye(3), tokens=5, mean=mean)
    fits = LayerProblem(weight=torch.ones(2, 3), gram=torch.eye(3), tokens=5, mean=torch.tensor([0.1, 0.4, -0.2]))
    assert torch.equal(fits.with_weight(torch.ones(1, 3)).mean, fits.mean)


def test_layers_with_one_input_share_the_factor_and_nothing_else(layer):
    problem = layer(4, 9)
    other = problem.with_weight(problem.weight[:2] * 2, name="k")
    assert other.factor(0.01)[0] is problem.factor(0.01)[0]
    assert other.name == "k"
    assert other.weight.shape == (2, 9)
    assert float(problem.energy()) == pytest.approx(oracles.energies(*arrays_of(problem)).sum())
    assert float(other.energy()) == pytest.approx(oracles.energies(*arrays_of(other)).sum())
    assert not torch.equal(problem.factor(0.5)[0], problem.factor(0.01)[0])


# The optimum.


@pytest.mark.parametrize("columns", [1, 9, 40, 172])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9])
def test_the_optimum_is_the_least_squares_solution(layer, columns, sparsity):
    problem = layer(5, columns)
    weight, gram = arrays_of(problem)
    mask = np.random.default_rng(columns).random(weight.shape) < sparsity
    best = optimum(problem, torch.tensor(mask))
    assert best.dtype == torch.float64
    assert not best[torch.tensor(mask)].any()
    assert oracles.error(weight, best.numpy(), gram) == pytest.approx(oracles.least_error(weight, gram, mask), rel=1e-6, abs=1e-12)


def test_the_optimum_ignores_damping_and_takes_float64_whatever_the_layer(layer):
    problem = layer(5, 24, dtype=torch.float32)
    weight, gram = arrays_of(problem)
    mask = np.random.default_rng(7).random(weight.shape) < 0.5
    best = optimum(problem, torch.tensor(mask)).double().numpy()
    np.testing.assert_allclose(best, oracles.best_weights(weight, gram, mask), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("energies", [3.0, 6.0])
def test_the_optimum_of_a_badly_scaled_layer(energies):
    """Inputs whose energies span many decades, as outlier features make them."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((48, 48)) @ (rng.standard_normal((48, 400)) * np.logspace(0, -energies / 2, 48)[:, None])
    weight, gram = rng.standard_normal((6, 48)), inputs @ inputs.T
    mask = rng.random(weight.shape) < 0.5
    problem = LayerProblem(weight=torch.tensor(weight), gram=torch.tensor(gram), tokens=400)
    found = oracles.error(weight, optimum(problem, torch.tensor(mask)).numpy(), gram)
    assert found == pytest.approx(oracles.least_error(weight, gram, mask), rel=1e-4)


def test_the_optimum_of_a_rank_deficient_layer_with_dead_inputs(layer):
    problem = layer(6, 30, tokens=12, dead=(3, 29))
    weight, gram = arrays_of(problem)
    for share in (0.4, 0.8):
        mask = np.random.default_rng(2).random(weight.shape) < share
        found = oracles.relative_error(weight, optimum(problem, torch.tensor(mask)).numpy(), gram)
        least = oracles.least_error(weight, gram, mask) / oracles.energies(weight, gram).sum()
        assert found == pytest.approx(least, rel=1e-5, abs=1e-9)


def test_the_optimum_of_no_mask_is_the_layer_and_of_a_full_mask_is_nothing(layer):
    problem = layer(3, 8)
    assert torch.equal(optimum(problem, torch.zeros(3, 8, dtype=torch.bool)), problem.weight)
    assert not optimum(problem, torch.ones(3, 8, dtype=torch.bool)).any()


@pytest.mark.parametrize("method", ["wanda", "thanos"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_reported_optimum_error_is_the_optimum_to_three_digits(layer, method, dtype):
    problem = layer(8, 64, dtype=dtype)
    solution = solve(problem, method, Unstructured(sparsity=0.6))
    weight, gram = arrays_of(problem)
    least = oracles.least_error(weight, gram, solution.pruned.numpy()) / oracles.energies(weight, gram).sum()
    assert least * (1 - 1e-4) <= optimum_error(problem, solution) <= min(1.002 * least, solution.relative_error)


def test_the_reported_optimum_error_never_exceeds_the_solutions_own(layer):
    problem = layer(4, 12, dtype=torch.float32)
    solution = solve(problem, "wanda", Unstructured(sparsity=0.0))
    assert optimum_error(problem, solution) == solution.relative_error == 0


# Damping.


def singular(rows: int = 3, columns: int = 8) -> LayerProblem:
    """One token only: G = xxᵀ of rank 1, whose second pivot is 0 or below."""
    weight, gram = oracles.random_layer(rows, columns, tokens=1)
    gram[0, 0] -= 1e-6 * gram[0, 0]
    return LayerProblem(weight=torch.tensor(weight), gram=torch.tensor(gram), tokens=1, name="blocks.2.down")


@pytest.mark.parametrize("method", ["sparsegpt", "thanos"])
def test_a_singular_layer_without_damping_names_layer_pivot_and_damping(method):
    with pytest.raises(IllConditioned) as caught:
        solve(singular(), method, Unstructured(sparsity=0.5), damping=0.0)
    assert caught.value.layer == "blocks.2.down"
    assert caught.value.damping == 0.0
    assert caught.value.pivot <= 1e-12
    assert "blocks.2.down" in str(caught.value)


@pytest.mark.parametrize("method", ["sparsegpt", "thanos"])
def test_damping_is_raised_only_where_allowed_and_the_result_says_so(method):
    solution = solve(singular(), method, Unstructured(sparsity=0.5), damping=0.0, raise_damping=True)
    assert solution.damping > 0
    again = solve(singular(), method, Unstructured(sparsity=0.5), damping=solution.damping)
    assert again.damping == solution.damping
    assert torch.equal(again.weight, solution.weight)


@pytest.mark.parametrize("method", ["sparsegpt", "thanos"])
def test_damping_that_is_enough_is_not_raised(method):
    assert solve(singular(), method, Unstructured(sparsity=0.5), damping=0.01, raise_damping=True).damping == 0.01


def test_optimum_of_another_layers_mask_is_refused(layer):
    import torch

    with pytest.raises(BadInput, match="pruned"):
        optimum(layer(4, 6), torch.zeros(6, dtype=torch.bool))


def test_the_error_of_more_rows_than_are_multiplied_at_a_time(layer):
    problem = layer(2100, 5)
    weight, gram = arrays_of(problem)
    other = weight * np.linspace(0, 1, len(weight))[:, None]
    assert float(problem.error(torch.tensor(other))) == pytest.approx(oracles.error(weight, other, gram))
    np.testing.assert_allclose(problem.row_energy().numpy(), oracles.energies(weight, gram), rtol=1e-12)


def test_the_optimum_is_never_above_the_error_of_the_solution(layer):
    problem = layer(6, 20)
    solution = solve(problem, "thanos", Unstructured(sparsity=0.5), refit=True)
    lower = dataclasses.replace(solution, relative_error=0.9 * solution.relative_error)
    assert optimum_error(problem, lower) == lower.relative_error


def test_layers_with_an_input_share_a_factor_only_in_the_same_arithmetic(layer):
    single = layer(4, 9, dtype=torch.float32)
    double = single.with_weight(single.weight.double())
    factors = [problem.factor(0.01)[0] for problem in (single, double, single.with_weight(2 * single.weight))]
    assert [factor.dtype for factor in factors] == [torch.float32, torch.float64, torch.float32]
    assert factors[2] is factors[0]
