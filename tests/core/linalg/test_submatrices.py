"""Rows and columns taken out of a matrix and put back, against numpy's indexing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.linalg.submatrices import part, spread


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("turned", [False, True])
def test_a_part_is_what_numpy_takes_by_both_indices(dtype, turned):
    matrix = torch.randn(40, 30, dtype=dtype)
    if turned:  # columns side by side in memory
        matrix = matrix.T.contiguous().T
    rows, columns = torch.tensor([39, 0, 7, 7]), torch.tensor([29, 3, 0])
    found = part(matrix, rows, columns)
    assert np.array_equal(found.numpy(), matrix.numpy()[np.ix_(rows.numpy(), columns.numpy())])
    assert found.is_contiguous()
    assert found.dtype == dtype
    assert part(matrix, rows[:0], columns).shape == (0, 3)
    assert part(matrix, rows, columns[:0]).shape == (4, 0)


@pytest.mark.parametrize("gone", [[], [0], [1, 4, 5], list(range(6))])
def test_what_is_spread_stands_on_the_columns_that_stay_and_nothing_on_the_others(gone):
    weight, removed = torch.randn(9, 6), torch.zeros(6, dtype=torch.bool)
    removed[gone] = True
    change = torch.randn(9, 6 - len(gone))
    expected = np.zeros((9, 6), np.float32)
    expected[:, ~removed.numpy()] = weight.numpy()[:, ~removed.numpy()] + change.numpy()
    before = weight.clone()
    found = spread(weight, change, removed)
    assert np.array_equal(found.numpy(), expected)
    assert not np.signbit(found.numpy()[:, gone]).any()  # 0, not −0
    assert torch.equal(weight, before)
