"""Damping, the row systems and the conjugate gradients against explicit inverses in float64 numpy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from core.linalg import conjugate_gradients, row_systems, rows
from core.linalg import damping as damping_of
from core.linalg.cholesky import inverse_factor
from tests import oracles

SIZES = [1, 2, 5, 33, 172]


def hessian(columns: int, *, damping: float = 0.01, **options) -> tuple[np.ndarray, torch.Tensor]:
    _, gram = oracles.random_layer(1, columns, **options)
    matrix = oracles.damped(gram, damping)
    return matrix, torch.tensor(matrix)


@pytest.mark.parametrize("damping", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("columns", SIZES)
def test_damping_is_a_share_of_the_mean_diagonal(columns, damping):
    _, gram = oracles.random_layer(1, columns)
    before = torch.tensor(gram)
    np.testing.assert_allclose(damping_of.damp(before, damping).numpy(), oracles.damped(gram, damping), rtol=1e-15)
    assert torch.equal(before, torch.tensor(gram))


@pytest.mark.parametrize("damping", [0.0, 0.01])
def test_a_dead_input_gets_a_diagonal_of_its_own(damping):
    _, gram = oracles.random_layer(1, 12, dead=(0, 5, 11))
    matrix = damping_of.damp(torch.tensor(gram), damping).numpy()
    live = [j for j in range(12) if j not in (0, 5, 11)]
    np.testing.assert_allclose(matrix[np.ix_(live, live)], oracles.damped(gram, damping)[np.ix_(live, live)], rtol=1e-15)
    for j in (0, 5, 11):
        assert matrix[j, j] > 0
        assert np.count_nonzero(matrix[j]) == np.count_nonzero(matrix[:, j]) == 1


def test_nothing_but_dead_inputs_can_still_be_factored():
    assert inverse_factor(damping_of.damp(torch.zeros(4, 4, dtype=torch.float64), 0.01)).isfinite().all()
    assert inverse_factor(damping_of.damp(torch.zeros(4, 4), 0.0)).isfinite().all()


@pytest.mark.parametrize("columns", SIZES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_row_systems_equal_gathered_submatrices(columns, share):
    rng = np.random.default_rng(columns)
    matrix, tensor = hessian(columns)
    weight, mask = rng.standard_normal((9, columns)), rng.random((9, columns)) < share
    mask[0], mask[1] = True, False
    expected = np.zeros_like(weight)
    for i in range(9):
        gone = np.flatnonzero(mask[i])
        if len(gone):
            expected[i, gone] = np.linalg.inv(matrix[np.ix_(gone, gone)]) @ weight[i, gone]
    found = row_systems.solve_rows(tensor, torch.tensor(weight), torch.tensor(mask)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9 * max(1e-300, abs(expected).max()))
    assert not found[~mask].any()


def test_the_batched_row_systems_of_a_gpu_are_those_of_the_compiled_kernel():
    rng = np.random.default_rng(5)
    _, tensor = hessian(33)
    weight, mask = torch.tensor(rng.standard_normal((9, 33))), torch.tensor(rng.random((9, 33)) < 0.4)
    batched, compiled = (solve(tensor, weight, mask) for solve in (rows._solve_batched, rows.solve_subsets))
    torch.testing.assert_close(batched, compiled, rtol=1e-9, atol=1e-12)


def test_sweeps_do_not_depend_on_how_the_rows_are_split():
    rng = np.random.default_rng(6)
    _, tensor = hessian(64)
    factor, mask = inverse_factor(tensor).contiguous(), torch.tensor(rng.random((300, 64)) < 0.5)
    weight, results = torch.tensor(rng.standard_normal((300, 64))), []
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            block, errors = weight.clone(), torch.zeros_like(weight)
            rows.sweep(block, errors, factor, mask, 0)
            results.append((block, errors))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_row_systems_do_not_depend_on_how_the_rows_are_split():
    """At most half of each row goes, so that only the row kernel is at work."""
    rng = np.random.default_rng(0)
    _, tensor = hessian(64)
    weight, mask = torch.tensor(rng.standard_normal((300, 64))), torch.tensor(rng.random((300, 64)) < 0.2)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = row_systems.solve_rows(tensor, weight, mask)
        torch.set_num_threads(2)
        assert torch.equal(row_systems.solve_rows(tensor, weight, mask), alone)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("start", ["masked", "zero"])
@pytest.mark.parametrize("columns", SIZES)
def test_conjugate_gradients_reach_the_least_squares_weights(columns, start):
    rng = np.random.default_rng(columns)
    matrix, tensor = hessian(columns)
    weight, mask = rng.standard_normal((7, columns)), rng.random((7, columns)) < 0.5
    mask[0], mask[1] = True, False
    target, gone = torch.tensor(weight), torch.tensor(mask)
    first = target.masked_fill(gone, 0) if start == "masked" else torch.zeros_like(target)
    found, least = conjugate_gradients.masked_cg(tensor, target, first, gone, iterations=40 * columns)
    np.testing.assert_allclose(found.numpy(), oracles.best_weights(weight, matrix, mask), rtol=1e-6, atol=1e-8)
    assert float(least) == pytest.approx(oracles.least_error(weight, matrix, mask), rel=1e-9, abs=1e-12)
    assert not found[gone].any()


def test_conjugate_gradients_never_raise_the_error_and_leave_their_arguments():
    rng = np.random.default_rng(3)
    matrix, tensor = hessian(24)
    weight, mask = torch.tensor(rng.standard_normal((6, 24))), torch.tensor(rng.random((6, 24)) < 0.5)
    start = weight.masked_fill(mask, 0)
    kept = [given.clone() for given in (tensor, weight, start, mask)]
    errors = [float(conjugate_gradients.masked_cg(tensor, weight, start, mask, iterations=k)[1]) for k in range(12)]
    assert errors[0] == pytest.approx(oracles.error(weight.numpy(), start.numpy(), matrix))
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in itertools.pairwise(errors))
    assert all(torch.equal(given, before) for given, before in zip((tensor, weight, start, mask), kept, strict=True))


def test_conjugate_gradients_stand_a_singular_matrix():
    weight, gram = oracles.random_layer(5, 20, tokens=8, dead=(4,))
    mask = np.random.default_rng(1).random((5, 20)) < 0.7
    start = torch.tensor(np.where(mask, 0.0, weight))
    found, least = conjugate_gradients.masked_cg(torch.tensor(gram), torch.tensor(weight), start, torch.tensor(mask), iterations=400)
    assert float(least) == pytest.approx(oracles.least_error(weight, gram, mask), rel=1e-6)
    kept = ~mask[:, 4]
    assert np.array_equal(found.numpy()[kept, 4], weight[kept, 4])
