"""Cholesky factors and their solves against explicit inverses in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core import IllConditioned
from core.linalg.cholesky import cholesky, inverse_factor, solve_right
from tests import oracles

SIZES = [1, 2, 5, 33, 172]


def hessian(columns: int, *, damping: float = 0.01, **options) -> tuple[np.ndarray, torch.Tensor]:
    _, gram = oracles.random_layer(1, columns, **options)
    matrix = oracles.damped(gram, damping)
    return matrix, torch.tensor(matrix)


@pytest.mark.parametrize("columns", [*SIZES, 257, 600])
def test_one_factor_holds_the_inverse_of_every_trailing_matrix(columns):
    matrix, tensor = hessian(columns)
    factor = inverse_factor(tensor).numpy()
    assert np.array_equal(factor, np.triu(factor))
    assert (np.diag(factor) > 0).all()
    for start in {0, columns // 3, columns // 2, columns - 1}:
        trailing = factor[start:, start:].T @ factor[start:, start:]
        np.testing.assert_allclose(trailing, np.linalg.inv(matrix[start:, start:]), rtol=1e-8, atol=1e-10 * abs(trailing).max())


def test_the_factor_keeps_its_dtype_and_its_argument():
    _, tensor = hessian(20)
    for dtype in (torch.float32, torch.float64):
        given = tensor.to(dtype)
        before = given.clone()
        assert inverse_factor(given).dtype == dtype
        assert torch.equal(given, before)


@pytest.mark.parametrize("at", [0, 3, 7])
def test_an_indefinite_matrix_names_layer_pivot_and_damping(at):
    matrix = torch.eye(8, dtype=torch.float64)
    matrix[at, at] = -2.0
    with pytest.raises(IllConditioned) as caught:
        inverse_factor(matrix, layer="blocks.1.up", damping=0.05)
    assert (caught.value.layer, caught.value.damping) == ("blocks.1.up", 0.05)
    assert caught.value.pivot == pytest.approx(-2.0)


@pytest.mark.parametrize("at", [0, 343, 344, 500, 599])
def test_a_pivot_that_fails_in_a_later_block_is_told_as_well(at):
    """Columns are eliminated from the last on, 256 at a time; ½ beside the diagonal at `at`, so that its pivot is not its entry."""
    matrix = torch.eye(600, dtype=torch.float64)
    matrix[at, at] = -2.0
    other = at + 1 if at < 599 else at
    if other != at:
        matrix[at, other] = matrix[other, at] = 0.5
    with pytest.raises(IllConditioned) as caught:
        inverse_factor(matrix)
    assert caught.value.pivot == pytest.approx(-2.25 if other != at else -2.0)


def test_the_pivot_is_that_of_the_matrix_that_was_factored():
    """[[4, 2], [2, 1−ε]]: eliminating from the last column up, the pivot left for the first is 4 − 4/(1−ε) < 0."""
    matrix = torch.tensor([[4.0, 2.0], [2.0, 1 - 1e-3]], dtype=torch.float64)
    with pytest.raises(IllConditioned) as caught:
        inverse_factor(matrix)
    assert caught.value.pivot == pytest.approx(4 - 4 / (1 - 1e-3))


@pytest.mark.parametrize("columns", [*SIZES, 256, 257, 600])
def test_a_factor_is_the_lower_triangle_whose_square_is_the_matrix(columns):
    matrix, tensor = hessian(columns)
    found = cholesky(tensor).numpy()
    np.testing.assert_allclose(found, np.linalg.cholesky(matrix), rtol=1e-9, atol=1e-11)
    assert np.array_equal(tensor.numpy(), matrix)


@pytest.mark.parametrize("rows_", [0, 1, 7, 300])
@pytest.mark.parametrize("columns", [*SIZES, 128, 256, 257, 600])
def test_a_solve_from_the_right_is_a_product_with_the_inverse(columns, rows_):
    matrix, tensor = hessian(columns)
    right = np.random.default_rng(0).standard_normal((rows_, columns))
    found = solve_right(torch.cat([tensor, torch.tensor(right)]))
    assert found.shape == (rows_, columns)
    np.testing.assert_allclose(found.numpy(), right @ np.linalg.inv(matrix), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("work", [cholesky, lambda matrix, **names: solve_right(torch.cat([matrix, matrix[:3]]), **names)])
@pytest.mark.parametrize("columns", [40, 300, 700])
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_a_matrix_that_is_not_definite_is_told_wherever_it_fails(columns, share, work):
    """It says the pivot of the whole matrix, not of the block that it is in."""
    matrix = torch.eye(columns, dtype=torch.float64)
    matrix[round(share * columns) - 1, round(share * columns) - 1] = -1.0
    with pytest.raises(IllConditioned, match="q_proj") as error:
        work(matrix, layer="q_proj", damping=0.01)
    assert error.value.pivot == pytest.approx(-1.0)
