"""Layers of 1024 inputs, strongly correlated, two tokens a column: no method does harm, and Frontier is ahead of those it should be."""

from __future__ import annotations

import functools
import math

import pytest
import torch

from core import LayerProblem, optimum, parse_pattern, solve
from core.spec import METHODS

COLUMNS = 1024


@functools.cache
def wide(rows: int = 8) -> LayerProblem:
    """A quarter as many features as inputs, falling as j^−0.7, a little noise, 1 % of the inputs ten times as strong."""
    generator = torch.Generator().manual_seed(5)
    features = COLUMNS // 4
    mixing = torch.randn(COLUMNS, features, generator=generator) * torch.arange(1, features + 1).pow(-0.7)
    inputs = mixing @ torch.randn(features, 2 * COLUMNS, generator=generator) + 0.1 * torch.randn(COLUMNS, 2 * COLUMNS, generator=generator)
    inputs[::100] *= 10
    weight = torch.randn(rows, COLUMNS, generator=generator) / math.sqrt(COLUMNS)
    weight[0] *= 5
    return LayerProblem(weight=weight, gram=inputs @ inputs.T, mean=inputs.mean(1), tokens=2 * COLUMNS)


@functools.cache
def solved(name: str, word: str):
    return solve(wide(), name, parse_pattern(word))


@pytest.mark.parametrize("word", ["0.5", "2:4", "columns:0.3"])
@pytest.mark.parametrize("name", [name for name in METHODS if name != "obc"])
def test_no_method_is_worse_than_no_update_and_none_needs_the_guard(name, word):
    pattern = parse_pattern(word)
    if pattern.kind in METHODS[name].refuses:
        pytest.skip("refused")
    problem, solution = wide(), solved(name, word)
    zeroed = problem.relative(problem.error(problem.weight.masked_fill(solution.pruned, 0)))
    assert solution.relative_error <= zeroed * (1 + 1e-5)
    assert solution.relative_error < 1
    assert solution.refitted_rows == 0


@pytest.mark.parametrize("word", ["0.5", "2:4"])
def test_frontier_is_ahead_of_the_other_methods(word):
    errors = {name: solved(name, word).relative_error for name in METHODS if name != "obc"}
    ours = errors.pop("frontier")
    assert ours < min(errors.values())


@pytest.mark.parametrize("name", ["alps", "frontier"])
def test_error_is_near_the_optimum_of_the_damped_problem(name):
    """What is left above it is the damping's: with next to none the weights are the mask's best."""
    problem = wide()
    solution = solve(problem, name, parse_pattern("0.5"), damping=1e-4, polish=60)
    assert solution.relative_error <= 1.1 * problem.relative(problem.error(optimum(problem, solution.pruned)))
