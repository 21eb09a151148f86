"""The guard: rows that an update has harmed are refitted, or refused; all others keep their bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core import Diverged, LayerProblem, Unstructured, optimum, solve
from core.layer import divergence
from core.layer.steps import Outcome, Step
from core.methods import solve as solving
from tests.oracles import layers as oracles


def problem_and_mask(rows=12, columns=40, **options):
    weight, gram = oracles.random_layer(rows, columns, **options)
    problem = LayerProblem(weight=torch.tensor(weight), gram=torch.tensor(gram), tokens=3 * columns, name="blocks.1.up")
    pruned = torch.tensor(np.random.default_rng(0).random((rows, columns)) < 0.5)
    return problem, pruned


def check(problem, weight, pruned, **options):
    return divergence.checked_error(problem, weight, pruned, method="Method", remedy="Do something.", **options)


def row_errors(problem, weight):
    change = (weight - problem.weight).double().numpy()
    return np.einsum("ij,jk,ik->i", change, problem.gram.double().numpy(), change)


def harmed(problem, pruned, rows, size=30.0):
    weight = optimum(problem, pruned)
    weight[rows] += size * torch.tensor(np.random.default_rng(1).standard_normal((len(rows), weight.shape[1]))) * ~pruned[rows]
    return weight


def test_a_diverged_row_gets_the_least_squares_weights_and_the_others_keep_their_bits():
    problem, pruned = problem_and_mask()
    weight = harmed(problem, pruned, [2, 7])
    given = weight.clone()
    error, refitted = check(problem, weight, pruned)
    best = optimum(problem, pruned)
    assert refitted == 2
    others = [i for i in range(len(weight)) if i not in (2, 7)]
    assert torch.equal(weight[others], given[others])
    assert row_errors(problem, weight)[[2, 7]] == pytest.approx(row_errors(problem, best)[[2, 7]], rel=0.02)
    assert float(error) == pytest.approx(row_errors(problem, weight).sum())
    assert not weight[pruned].any()


def test_what_has_not_diverged_is_as_it_was():
    problem, pruned = problem_and_mask()
    for weight in (optimum(problem, pruned), problem.weight.masked_fill(pruned, 0), problem.weight.clone()):
        mask = pruned if not torch.equal(weight, problem.weight) else torch.zeros_like(pruned)
        given = weight.clone()
        error, refitted = check(problem, weight, mask)
        assert refitted == 0
        assert torch.equal(weight, given)
        assert torch.equal(error, problem.error(weight))


def test_zeroed_weights_pass_even_where_all_zero_would_be_better():
    """Nearly opposite inputs: what is left without its partner does more harm than 0."""
    gram = torch.tensor([[1.0, -0.99], [-0.99, 1.0]]).double()
    problem = LayerProblem(weight=torch.ones(3, 2).double(), gram=gram, tokens=9)
    solution = solve(problem, "magnitude", Unstructured(sparsity=0.5))
    assert solution.relative_error > 1
    assert solution.refitted_rows == 0


@pytest.mark.parametrize("seed", range(8))
def test_bound_is_never_above_the_zeroed_weights_error(seed):
    problem, pruned = problem_and_mask(seed=seed)
    weight = harmed(problem, pruned, range(len(pruned)), size=10.0 ** (seed - 5))
    bound = divergence._errors(problem, weight, pruned).zeroed_at_least
    assert (bound.numpy() <= row_errors(problem, problem.weight.masked_fill(pruned, 0)) * (1 + 1e-9)).all()


def test_layer_that_loses_a_little_in_every_row_is_refitted():
    """No row is twice as bad as no update; the layer as a whole is worse."""
    problem, pruned = problem_and_mask()
    zeroed = problem.weight.masked_fill(pruned, 0)
    direction = zeroed - optimum(problem, pruned)
    weight = zeroed + 0.2 * direction  # beyond Z, away from the optimum
    worse = row_errors(problem, weight) / row_errors(problem, zeroed)
    assert worse.min() > 1
    assert worse.max() < 2
    _, refitted = check(problem, weight, pruned)
    assert refitted == len(weight)
    assert row_errors(problem, weight).sum() < row_errors(problem, zeroed).sum()


def test_coupled_rows_are_judged_together():
    """A row may lose if the others gain by it; a layer that loses by V is refitted."""
    problem, pruned = problem_and_mask()
    counts = torch.full((12, 12), 0.5).double().fill_diagonal_(1.0)
    coupled = problem.with_weight(problem.weight, output_weight=counts)
    weight = harmed(problem, pruned, [3], size=1.0)
    assert check(coupled, weight.clone(), pruned, couples=True)[1] == 0
    assert check(coupled, harmed(problem, pruned, [3]), pruned, couples=True)[1] == len(weight)
    assert check(coupled, harmed(problem, pruned, [3]), pruned)[1] == 1


def exploding(problem, target, method):
    pruned = torch.arange(problem.weight.numel()).reshape(problem.weight.shape) % 2 == 0
    weight = (100 * problem.working_weight).masked_fill(pruned, 0)
    yield Step(columns=(0, weight.shape[1]), pruned=pruned, weight=weight, loss=None)
    return Outcome(weight=weight, pruned=pruned, damping=0.003)


@pytest.mark.parametrize("output_weight", [None, "rows"])
@pytest.mark.parametrize("alpha", [0.0, 0.25])
def test_solve_refits_what_explodes(monkeypatch, output_weight, alpha):
    monkeypatch.setattr(solving, "kernel_of", lambda method: exploding)
    problem, _ = problem_and_mask()
    if output_weight:
        problem = problem.with_weight(problem.weight, output_weight=torch.linspace(0.5, 2, 12))
    solution = solve(problem, "frontier", Unstructured(sparsity=0.5, outlier_rows=alpha))
    kept = len(solution.dense_rows)
    assert solution.refitted_rows == 12 - kept
    assert torch.equal(solution.weight[solution.dense_rows], problem.weight[solution.dense_rows])
    best = problem.relative(problem.error(optimum(problem, solution.pruned)))
    assert solution.relative_error == pytest.approx(best, rel=0.02)


def test_solve_says_what_the_refit_cannot_mend(monkeypatch):
    monkeypatch.setattr(solving, "kernel_of", lambda method: exploding)
    monkeypatch.setattr(divergence, "masked_cg", lambda gram, weight, start, pruned, **options: (1e3 * start, None))
    problem, _ = problem_and_mask()
    with pytest.raises(Diverged) as caught:
        solve(problem, "frontier", Unstructured(sparsity=0.5))
    for word in ("blocks.1.up", "Frontier", f"{caught.value.error:.3g}", "Raise the damping (try λ = 0.03)"):
        assert word in str(caught.value)
    assert caught.value.error > 1
