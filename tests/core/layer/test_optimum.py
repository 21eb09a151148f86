"""The optimum of a large layer from some of its rows: near the exact one, with an honest spread."""

from __future__ import annotations

import pytest
import torch

from core import LayerProblem, SemiStructured, Unstructured, solve
from core.layer.optimum import (
    EXACT,
    FEWEST_ITERATIONS,
    FEWEST_ROWS,
    NARROW,
    PRODUCTS,
    Sample,
    estimated_optimum,
    optimum_error,
    optimum_iterations,
    optimum_rows,
)
from core.models.cost import optimum_sample
from core.spec import RunSpec, make_method


def wide(seed: int) -> LayerProblem:
    """Rows whose energies differ by orders of magnitude, inputs that are correlated."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(400, 48, generator=generator) @ torch.randn(48, 48, generator=generator)
    weight = torch.randn(300, 48, generator=generator) * torch.exp(torch.randn(300, 1, generator=generator))
    return LayerProblem(weight=weight, gram=inputs.T @ inputs, tokens=400)


@pytest.mark.parametrize("pattern", [Unstructured(sparsity=0.5), Unstructured(sparsity=0.5, outlier_rows=0.1), SemiStructured(n=2, m=4)],
                         ids=lambda pattern: pattern.word)
@pytest.mark.parametrize("method", ["wanda", "thanos"])
def test_an_estimate_is_within_its_spread(method, pattern):
    for seed in range(3):
        problem = wide(seed)
        solution = solve(problem, method, pattern)
        exact, found = optimum_error(problem, solution), estimated_optimum(problem, solution, Sample(rows=40))
        assert found.rows == 40
        assert found.spread is not None
        assert 0 < found.spread < 0.2 * exact
        assert abs(found.error - exact) < 3.5 * found.spread
        assert found.error <= solution.relative_error


def test_all_rows_are_exact():
    problem = wide(0)
    solution = solve(problem, "wanda", Unstructured(sparsity=0.5, outlier_rows=0.1))
    for rows in (270, 300):
        found = estimated_optimum(problem, solution, Sample(rows=rows))
        assert (found.rows, found.spread) == (None, None)
        assert found.error == optimum_error(problem, solution)


def test_a_layer_without_error_has_an_optimum_of_nothing():
    problem = LayerProblem(weight=torch.ones(100, 8), gram=torch.zeros(8, 8), tokens=5)
    solution = solve(problem, "wanda", Unstructured(sparsity=0.5))
    assert estimated_optimum(problem, solution, Sample(rows=20)).error == 0


def test_small_layers_are_exact_and_large_ones_cost_a_tenth_of_the_rest():
    assert optimum_rows(1024, 512, pruned=1000, other_work=0) == 1000
    assert EXACT == 1024 * 512**2
    rows, columns, other = 4096, 4096, 1e13
    chosen = optimum_rows(rows, columns, pruned=rows, other_work=other)
    assert FEWEST_ROWS < chosen < rows
    assert PRODUCTS * chosen * columns**2 <= other / 10 < PRODUCTS * (chosen + 1) * columns**2
    assert FEWEST_ROWS < optimum_rows(rows, columns, pruned=rows, other_work=other, singular=True) < chosen / 4
    assert optimum_rows(rows, columns, pruned=rows, other_work=0) == FEWEST_ROWS
    assert optimum_rows(rows, columns, pruned=rows, other_work=1e16) == rows


def test_the_least_sample_too_costs_at_most_a_tenth_or_is_left_out():
    rows, columns = 4096, 11008
    assert optimum_iterations(256, 1024, chosen=256, other_work=0) == optimum_iterations(rows, columns, chosen=NARROW, other_work=0) > 50
    for share in (4, 100, 10_000):
        other = share * NARROW * columns**2
        found = optimum_iterations(rows, columns, chosen=FEWEST_ROWS, other_work=other)
        assert 10 * found * NARROW * columns**2 <= other
        assert bool(found) == (share / 10 >= FEWEST_ITERATIONS)
    few = {"tokens": 256}
    bare = optimum_sample(RunSpec(method=make_method("wanda")), 2048, 5632, **few)
    evaluated = optimum_sample(RunSpec(method=make_method("wanda")), 2048, 5632, evaluated=64 * 2048, **few)
    assert bare is None or bare.iterations < evaluated.iterations
    assert evaluated is not None
    assert optimum_sample(RunSpec(no_optimum=True), 2048, 5632, evaluated=64 * 2048, **few) is None
