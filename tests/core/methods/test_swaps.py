"""DSnoT's swaps: what they lower, where they stop, and what they need."""

from __future__ import annotations

import itertools

import pytest
import torch

from core import BadInput, Unstructured
from tests.core.methods.cases import PATTERNS, changed, given_layer, solve


def test_swaps_lower_the_error_of_the_mean_output_and_move_no_weight(layer):
    problem = layer(12, 40, shift=1.0)
    for pattern, start in itertools.product((PATTERNS["0.5"], PATTERNS["2:4"]), ("wanda", "magnitude", "sparsegpt")):
        first = solve(problem, start, pattern).pruned
        off = [(problem.weight * first @ problem.mean).abs()]
        for cycles in (0, 1, 3, 50):
            edited = solve(problem, "dsnot", pattern, mask=start, cycles=cycles, threshold=0.0)
            assert torch.equal(edited.weight, problem.weight.masked_fill(edited.pruned, 0))
            assert torch.equal(edited.pruned.sum(1), first.sum(1))
            assert int((edited.pruned & ~first).sum(1).max()) <= cycles
            off.append((problem.weight * edited.pruned @ problem.mean).abs())
        assert torch.equal(off[0], off[1])
        assert all((after <= before + 1e-12).all() for before, after in itertools.pairwise(off))
        assert off[2].sum() < off[1].sum()
        assert off[4].sum() < off[0].sum() / 2


def test_swaps_stop_where_the_mean_output_is_right_enough(layer):
    problem = layer(12, 40, shift=1.0)
    edited = solve(problem, "dsnot", PATTERNS["0.5"], threshold=0.05)
    first = solve(problem, "wanda", PATTERNS["0.5"]).pruned
    enough = 0.05 * (problem.row_energy() / problem.tokens).sqrt()
    quiet = (problem.weight * first @ problem.mean).abs() <= enough
    assert 0 < int(quiet.sum()) < 12
    assert torch.equal(edited.pruned[quiet], first[quiet])
    assert (edited.pruned[~quiet] != first[~quiet]).any(1).all()


def test_a_swap_by_hand():
    """Row [4, 1, 2, −1] with mean squares 2, 2, 3, 2: Wanda prunes columns 1 and 3, so that e = μ₁ − μ₃."""
    weight, gram = torch.tensor([[4.0, 1.0, 2.0, -1.0]]), torch.diag(torch.tensor([20.0, 20.0, 30.0, 20.0]))
    for mean, pruned in (
        ([1.0, 1.0, 1.0, 1.0], [0, 1, 0, 1]),  # e = 0
        ([1.0, 1.0, 1.0, 0.0], [0, 1, 0, 1]),  # e = 1: column 1 should come back, but no kept weight helps by its sign
        ([1.0, 1.0, -1.0, 0.0], [0, 1, 0, 1]),  # column 2 would help too much: e = 1 − 1 − 2
        ([1.0, 1.0, -0.3, 0.0], [0, 0, 1, 1]),  # e = 1 − 1 − 0.6
        ([-0.1, 1.0, -0.3, 0.0], [0, 0, 1, 1]),  # column 0 helps as well; column 2 has the lesser score
    ):
        problem = given_layer(weight, gram, tokens=10, mean=torch.tensor(mean))
        solution = solve(problem, "dsnot", Unstructured(sparsity=0.5), threshold=0.0)
        assert solution.pruned.int().tolist() == [pruned], mean


def test_swaps_need_input_means(layer):
    with pytest.raises(BadInput, match=r"mean: None .* pass LayerProblem\(\.\.\., mean=X\.mean\(1\)\)"):
        solve(changed(layer(4, 12), mean=None), "dsnot", PATTERNS["0.5"])
