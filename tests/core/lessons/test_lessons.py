"""Lessons on small matrices against plain numpy: least squares by lstsq, losses as differences, recordings bit for bit those of solve."""

from itertools import combinations

import numpy as np
import pytest
import torch

from core import optimum, solve
from core.lessons.formulas import formulas
from core.lessons.mask_choice import every_mask
from core.lessons.problems import small_problem
from core.lessons.removals import one_weight, two_weights
from core.lessons.stepping import record, stepped
from core.lessons.strong_row import strong_row
from core.records.lessons import FORMULAS, MOST_COLUMNS, REPAIRS, SHORT_ROW, STEPPED, Matrix
from core.spec import make_method
from core.spec.errors import BadInput
from core.spec.patterns import Structured, Unstructured

MATRICES = {
    "drawn": Matrix(source="drawn"), "uncorrelated": Matrix(source="drawn", correlation=0, damping=0),
    "one row": Matrix(source="drawn", rows=1, columns=5, correlation=0.95, damping=0.001),
    "largest": Matrix(source="drawn", rows=12, columns=24),
}
every_matrix = pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)


def made(matrix):
    return small_problem(matrix, lambda name: pytest.fail(f"asked for {name}"))


def least(weight, hessian, gone):
    """The least ΔHΔᵀ of a row with the inputs `gone` removed: ordinary least squares on a square root of H."""
    root = np.linalg.cholesky(hessian).T  # H = rootᵀ root
    kept = [j for j in range(len(weight)) if j not in gone]
    target = root @ weight
    if not kept:
        return float(target @ target)
    best = np.linalg.lstsq(root[:, kept], target, rcond=None)[0]
    rest = target - root[:, kept] @ best
    return float(rest @ rest)


@every_matrix
def test_one_weights_loss_is_the_difference_it_makes(matrix):
    problem = made(matrix)
    found = one_weight(problem)
    np.testing.assert_allclose(found.measured, found.loss, rtol=1e-6)
    weight, hessian = problem.weight.numpy(), problem.gram.numpy()
    expected = [[least(row, hessian, [q]) for q in range(matrix.columns)] for row in weight]
    np.testing.assert_allclose(found.loss, expected, rtol=1e-6)
    assert (found.diagonal >= found.loss * (1 - 1e-12)).all()
    for row, column in np.ndindex(weight.shape):
        assert weight[row, column] + found.change[row, column, column] == 0


def test_without_correlation_nothing_can_be_made_up_for():
    found = one_weight(made(MATRICES["uncorrelated"]))
    np.testing.assert_allclose(found.diagonal, found.loss, rtol=1e-9)
    assert found.agreement["diagonal"] == pytest.approx(1)


@every_matrix
def test_a_pairs_loss_is_that_of_least_squares(matrix):
    problem = made(matrix)
    found = two_weights(problem)
    row, hessian = problem.weight.numpy()[-1], problem.gram.numpy()
    for q, r in [(0, 0), *combinations(range(min(matrix.columns, 8)), 2)]:
        assert found.pair[-1, q, r] == pytest.approx(least(row, hessian, {q, r}), rel=1e-6)
        assert found.pair[-1, r, q] == found.pair[-1, q, r]


@every_matrix
@pytest.mark.parametrize("method", STEPPED)
@pytest.mark.parametrize("block_size", [1, 4])
def test_a_recording_is_what_solve_does(matrix, method, block_size):
    problem, pattern = made(matrix), Unstructured(sparsity=0.6)
    chosen = make_method(method, damping=0, **({} if method == "obc" else {"block_size": block_size}))
    recording, solution = record(problem, chosen, pattern)
    expected = solve(problem, chosen, pattern)
    assert torch.equal(solution.weight, expected.weight)
    own, given = recording.weight[-1], expected.weight.numpy()
    refitted = (own != given).any(1)  # the recording ends with the method's own weights; `solve` refits rows that have diverged
    assert refitted.sum() == expected.refitted_rows
    weight, gram, best = problem.weight.numpy(), problem.gram.numpy(), optimum(problem, expected.pruned).numpy()
    for row in refitted.nonzero()[0]:
        def error(values, row=row):
            return float((values - weight[row]) @ gram @ (values - weight[row]))

        zeroed = weight[row] * ~recording.pruned[-1][row]
        assert error(own[row]) > 2 * min(error(zeroed), error(0 * zeroed))
        assert error(given[row]) == pytest.approx(error(best[row]), rel=1e-2)
    assert np.array_equal(recording.pruned[-1], expected.pruned.numpy())
    assert (np.diff(recording.pruned.sum((1, 2))) >= 0).all()
    assert (recording.pruned[1:] >= recording.pruned[:-1]).all()  # what is gone stays gone
    assert (recording.weight[recording.pruned] == 0).all()


@every_matrix
def test_losses_of_a_recording_are_measured_and_never_below_the_optimum(matrix):
    problem = made(matrix)
    found = stepped(problem, sparsity=0.5, block_size=min(3, matrix.columns))
    for one in found.recordings:
        np.testing.assert_allclose(one.loss, one.measured, rtol=1e-6, atol=1e-12)
        assert (one.measured >= one.optimum * (1 - 1e-9)).all()
        for before, after, count in zip(one.weight, one.weight[1:], one.frozen, strict=False):
            assert np.array_equal(before[:, :count], after[:, :count])  # frozen columns stay
    obc = found.recordings[-1]
    assert obc.last == found.mask.sum()
    np.testing.assert_allclose(obc.measured, obc.optimum, rtol=1e-9, atol=1e-12)


@every_matrix
def test_from_sparsegpts_update_to_the_optimum(matrix):
    problem = made(matrix)
    found = stepped(problem, sparsity=0.5, block_size=2)
    weight, hessian = problem.weight.numpy(), problem.gram.numpy()
    best = sum(least(row, hessian, set(np.flatnonzero(gone))) for row, gone in zip(weight, found.mask, strict=True))
    assert found.block_loss[0] == pytest.approx(found.sweep_loss, rel=1e-9)
    assert found.block_loss[-1] == pytest.approx(best, rel=1e-6)
    assert found.optimum == pytest.approx(best, rel=1e-6)
    assert found.block_loss.min() >= best * (1 - 1e-9)
    assert found.blocks.shape == (matrix.columns, matrix.rows, matrix.columns)


@every_matrix
@pytest.mark.parametrize("sparsity", [0.25, 0.5])
def test_every_mask_of_a_short_row_is_tried(matrix, sparsity):
    problem, row = made(matrix), matrix.rows - 1
    found = every_mask(problem, row, sparsity=sparsity, block_size=3)
    columns = min(matrix.columns, SHORT_ROW)
    weight, hessian = problem.weight.numpy()[row, :columns], problem.gram.numpy()[:columns, :columns]
    expected = sorted(least(weight, hessian, set(gone)) for gone in combinations(range(columns), found.count))
    np.testing.assert_allclose(found.every, expected, rtol=1e-6)
    assert (found.pruned.sum(1) == found.count).all()
    for mask, rank, own in zip(found.pruned, found.rank, found.own, strict=True):
        best = least(weight, hessian, set(np.flatnonzero(mask)))
        assert found.every[rank] == pytest.approx(best, rel=1e-6)
        assert own >= best * (1 - 1e-9)
    np.testing.assert_allclose(found.repaired[:, REPAIRS.index("exact")], found.every[found.rank], rtol=1e-9)
    assert (found.repaired >= found.every[found.rank][:, None] * (1 - 1e-9)).all()


@every_matrix
def test_of_three_formulas_one_is_right(matrix):
    problem = made(matrix)
    found = formulas(problem, sparsity=0.3)
    weight, hessian = problem.weight.numpy(), problem.gram.numpy()
    best = sum(least(row, hessian, set(np.flatnonzero(found.gone))) for row in weight)
    right, part, wrong = (FORMULAS.index(name) for name in ("right", "part", "hessian"))
    assert found.loss[right] == pytest.approx(best, rel=1e-6)
    assert (found.loss >= best * (1 - 1e-9)).all()
    assert found.left[right] == 0
    assert found.left[wrong] < 1e-9
    if matrix.correlation:
        assert found.left[part] > 0.01
        assert found.loss[wrong] > found.loss[FORMULAS.index("none")]


@pytest.mark.parametrize("correlation", [0.1, 0.7, 0.95])
@pytest.mark.parametrize("seed", range(6))
def test_one_slip_breaks_the_constraint_and_one_is_worse_than_no_update(correlation, seed):
    """On every matrix tried; for a single column the second is so on all."""
    problem = made(Matrix(source="drawn", correlation=correlation, seed=seed))
    for share in (0.05, 0.3, 0.6):
        none, right, part, wrong = (found := formulas(problem, sparsity=share)).loss
        assert found.left[FORMULAS.index("part")] > 1e-3
        assert right < none < wrong
        assert right < part
        if share == 0.05:
            assert found.gone.sum() == 1
            (q,), hessian = np.flatnonzero(found.gone), problem.gram.numpy()
            beside = np.delete(hessian[q], q)
            worse = (problem.weight.numpy()[:, q] ** 2).sum() * (
                2 * beside @ beside / hessian[q, q]
                + beside @ np.delete(np.delete(hessian, q, 0), q, 1) @ beside / hessian[q, q] ** 2)
            assert wrong - none == pytest.approx(worse, rel=1e-9)  # the exercise of stop 5


def test_an_h_without_inverse_is_told_and_why():
    with pytest.raises(BadInput, match="weights can go at no loss at all") as told:
        made(Matrix(source="drawn", correlation=1, damping=0))
    assert told.value.field == "damping"
    assert np.isfinite(one_weight(made(Matrix(source="drawn", correlation=1, damping=0.01))).loss).all()


def test_a_window_is_the_layers_own_part(layer):
    whole = layer(20, 40)
    asked = Matrix(first_row=3, first_column=10, rows=4, columns=7, damping=0)
    problem = small_problem(asked, lambda name: whole)
    assert torch.equal(problem.weight, whole.weight[3:7, 10:17])
    assert torch.equal(problem.gram * whole.tokens, whole.gram[10:17, 10:17].clone())
    with pytest.raises(BadInput, match="0 to 16: layer is 20 × 40"):
        small_problem(asked.model_copy(update={"first_row": 17}), lambda name: whole)


def test_a_larger_drawn_matrix_begins_with_the_smaller():
    small, large = made(Matrix(source="drawn", rows=2, columns=4, damping=0)), made(Matrix(source="drawn", columns=MOST_COLUMNS, damping=0))
    assert torch.equal(small.weight, large.weight[:2, :4])
    assert torch.equal(small.gram, large.gram[:4, :4])


@every_matrix
def test_a_strong_row_and_the_rows_that_stay_dense(matrix):
    """The rows of most energy stay; their error, and that of any other rows, is the one of least squares."""
    problem, row = made(matrix), matrix.rows - 1
    found = strong_row(problem, row, factor=5.0, sparsity=0.3)
    before, hessian = problem.weight.numpy().copy(), problem.gram.numpy()
    before[row] *= 5
    assert np.array_equal(found.before, before)
    energy = np.einsum("ij,jk,ik->i", before, hessian, before)
    np.testing.assert_allclose(found.shares, energy / energy.sum(), rtol=1e-9)
    for count, (weight, kept, error) in enumerate(zip(found.weight, found.kept, found.error, strict=True)):
        assert kept.sum() == count
        assert set(np.flatnonzero(kept)) == set(np.argsort(-energy, kind="stable")[:count])
        assert np.array_equal(weight[kept], before[kept])
        change = weight - before
        assert error == pytest.approx(np.einsum("ij,jk,ik->", change, hessian, change) / energy.sum(), rel=1e-6)
        choices, gone = found.choices[count], int((weight == 0).all(0).sum() if not count else (weight[~kept] == 0).all(0).sum())
        assert choices.error[(choices.kept == kept).all(1)] == pytest.approx(error) or not choices.every
        assert (choices.kept.sum(1) == count).all()
        np.testing.assert_allclose(found.parts, before**2 * np.diag(hessian))
        for stays, left in list(zip(choices.kept, choices.error, strict=True))[:6]:
            columns = np.argsort(found.parts[~stays].sum(0), kind="stable")[:gone]
            best = sum(least(one, hessian, set(columns)) for one in before[~stays])
            assert left == pytest.approx(best / energy.sum(), rel=1e-6)
    assert min(found.counted_sparsity) >= 0.3 - 1e-9


def test_a_choice_of_rows_leaves_what_solve_leaves():
    problem = made(MATRICES["drawn"])
    found = strong_row(problem, 2, factor=4.0, sparsity=0.3)
    stronger = problem.with_weight(torch.tensor(found.before))
    for count, choices in enumerate(found.choices[1:], 1):
        assert choices.every
        pattern = Structured(sparsity=0.3, outlier_rows=count / 6 - 1e-9)
        for stays, error in list(zip(choices.kept, choices.error, strict=True))[::7]:
            rows = torch.tensor(np.flatnonzero(stays))
            assert solve(stronger, "thanos", pattern, damping=0, keep_rows=rows).relative_error == pytest.approx(error, rel=1e-9)


def test_a_row_turns_the_choice_of_columns_from_a_factor_on():
    problem = made(MATRICES["drawn"])
    found = strong_row(problem, 2, factor=1.0, sparsity=0.3)
    gone = [np.flatnonzero((strong_row(problem, 2, factor=factor, sparsity=0.3).weight[0] == 0).all(0)).tolist()
            for factor in (1.0, found.turns - 0.5, found.turns)]
    assert gone[0] == gone[1] != gone[2]
    assert np.isnan(strong_row(made(MATRICES["one row"]), 0, factor=2.0, sparsity=0.3).turns)  # a row alone decides anyhow


def test_two_strong_rows_are_the_matrix_with_both_rows_multiplied():
    problem = made(MATRICES["drawn"])
    weight = problem.weight.clone()
    weight[[2, 4]] *= 3.0
    found = strong_row(problem, 2, second=4, factor=3.0, sparsity=0.3)
    alone = strong_row(problem.with_weight(weight), 2, factor=1.0, sparsity=0.3)
    assert found.strong == (2, 4)
    assert np.array_equal(found.before, weight.numpy())
    assert found.error == alone.error
    assert np.isfinite(found.turns)
