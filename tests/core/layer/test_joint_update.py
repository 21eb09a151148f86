"""Whole columns at once against explicit inverses in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core import LayerProblem
from core.layer.joint_update import remove_columns
from tests import oracles


@pytest.mark.parametrize("rows", [2, 30])
@pytest.mark.parametrize("gone", [0, 1, 7, 19, 20])
def test_columns_that_go_are_made_up_for_by_all_that_stay(rows, gone):
    """Few rows and many columns are solved from the left, many rows from the right; nothing and everything may go."""
    weight, gram = oracles.random_layer(rows, 20, dead=(3,))
    problem = LayerProblem(weight=torch.tensor(weight), gram=torch.tensor(gram), tokens=60)
    removed = np.zeros(20, bool)
    removed[np.random.default_rng(0).permutation(20)[:gone]] = True
    hessian = oracles.damped(gram, 0.01)
    hessian[3, 3] = hessian[3, 3] or 1.0
    expected = np.where(removed, 0.0, weight)
    kept, lost = np.flatnonzero(~removed), np.flatnonzero(removed)
    expected[:, kept] += weight[:, lost] @ hessian[np.ix_(lost, kept)] @ np.linalg.inv(hessian[np.ix_(kept, kept)])
    found, cost, damping = remove_columns(problem, torch.tensor(removed), 0.01, may_raise=False)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12)
    change = expected - weight
    change[:, 3] = 0  # a dead input costs nothing
    assert float(cost()) == pytest.approx(np.einsum("ij,jk,ik->", change, hessian, change), rel=1e-9, abs=1e-9)
    assert damping == 0.01
    assert np.array_equal(problem.weight.numpy(), weight)
