"""Estimates from a few rows: which rows, at which share, and that with all of them nothing is left to estimate."""

import math

import pytest
import torch

from core import LayerProblem, parse_pattern, solve
from core.layer.row_samples import spread_rows
from core.records.previews import BASE
from core.spec import METHODS, make_method
from core.spec.patterns import outlier_count
from core.whatif.row_sampling import active_pattern, sampled
from tests.pairwise import pairwise, parametrize


@pytest.fixture(scope="module")
def problem():
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(32, 300, generator=generator)
    inputs += torch.randn(32, 20, generator=generator) @ torch.randn(20, 300, generator=generator)
    weight = torch.randn(40, 32, generator=generator) * torch.linspace(0.2, 3, 40)[:, None]
    return LayerProblem(weight=weight, gram=inputs @ inputs.T, tokens=300, mean=inputs.mean(1))


def every_row(problem, method, pattern, monkeypatch):
    monkeypatch.setattr("core.whatif.row_sampling.spread_rows", lambda layer, dense, count: spread_rows(layer, dense, len(layer.weight)))
    return sampled(problem, solve(problem, BASE, pattern), method, pattern)


@parametrize("name, word, alpha", pairwise(["obc", "frontier", "adaprune", "wanda"], ["0.5", "2:4", "columns:0.3"], [0.0, 0.1]))
def test_with_every_row_it_is_the_method_itself(problem, name, word, alpha, monkeypatch):
    pattern, method = parse_pattern(word, alpha=alpha), make_method(name)
    found, whole = every_row(problem, method, pattern, monkeypatch), solve(problem, method, pattern)
    assert found.relative_error == pytest.approx(whole.relative_error, rel=1e-4)
    assert found.counted_sparsity == pytest.approx(whole.counted_sparsity, abs=1e-6)
    assert problem.relative(problem.error(found.weight)) == pytest.approx(whole.relative_error, rel=1e-3), "a change of that size"
    assert found.optimum_error <= found.relative_error


@pytest.mark.parametrize("name", ["obc", "frontier", "admm-grad"])
def test_a_few_rows_are_nearer_than_the_fast_method_alone(problem, name):
    """Not by the row's own luck: the error of four rows times ten is off by far more."""
    pattern, method = parse_pattern("0.6"), make_method(name)
    base, true = solve(problem, BASE, pattern), solve(problem, method, pattern).relative_error
    guess = sampled(problem, base, method, pattern).relative_error
    assert abs(math.log(guess / true)) < 0.5 * abs(math.log(base.relative_error / true))


def test_the_rows_are_the_middle_ones_of_equal_parts_in_order_of_energy(problem):
    energy = problem.row_energy()
    order = energy.argsort().tolist()
    assert spread_rows(problem, torch.tensor([], dtype=torch.int64), 4).tolist() == sorted(order[k] for k in (5, 15, 25, 35))
    dense = torch.tensor(order[-8:])
    assert spread_rows(problem, dense, 4).tolist() == sorted(order[k] for k in (4, 12, 20, 28)), "those that stay dense are not asked"
    assert len(spread_rows(problem, torch.tensor(order[2:]), 4)) == 2


@parametrize("word, outliers, shape", pairwise(
    ["0.5", "0.83", "2:4", "columns:0.3"], [(0.0, "paper"), (0.1, "paper"), (0.1, "iso"), (0.5, "iso")], [(40, 32), (7, 33), (688, 256)]))
def test_active_rows_lose_what_the_pattern_takes_from_them(word, outliers, shape):
    (alpha, budget), (rows, columns) = outliers, shape
    if (word == "2:4" and budget == "iso") or (word == "0.83" and alpha == 0.5):
        return
    pattern = parse_pattern(word, alpha=alpha, **({} if word.startswith("col") else {"alpha_budget": budget}))
    active = rows - outlier_count(rows, alpha)
    alone = active_pattern(pattern, rows, columns)
    assert alone.outlier_rows == 0
    asked, found = pattern.target(rows, columns), alone.target(active, columns)
    assert getattr(found, "count", 0) == pytest.approx(getattr(asked, "count", 0), abs=1)
    assert (getattr(found, "n", 0), getattr(found, "m", 0)) == (getattr(asked, "n", 0), getattr(asked, "m", 0))


@pytest.mark.parametrize("word", ["0", "2:4", "columns:0"])
def test_a_layer_whose_rows_all_stay_dense_loses_nothing(problem, word):
    pattern = parse_pattern(word, alpha=0.99)
    found = sampled(problem, solve(problem, BASE, pattern), make_method("obc"), pattern)
    assert found.relative_error == found.optimum_error == 0
    assert torch.equal(found.weight, problem.weight)


def test_nothing_pruned_is_no_error(problem):
    pattern = parse_pattern("0")
    for name in METHODS:
        found = sampled(problem, solve(problem, BASE, pattern), make_method(name), pattern)
        assert found.relative_error == found.optimum_error == found.counted_sparsity == 0
