"""Swaps of kept with pruned entries and columns: the compiled search and its batched twin, against every mask and explicit inverses."""

from itertools import combinations, product

import pytest
import torch

from core.layer import swap_search as exchange_module
from core.layer.problem import LayerProblem
from core.layer.swap_search import exchange_columns
from core.linalg import rows
from core.linalg.cpu.swaps import tenure
from core.linalg.swaps_batched import exchange_batched
from core.methods.frontier import _fit
from tests.core.linalg.systems import TOLERANCE, random, system


def exchanged(batched: bool, matrix: torch.Tensor, linear: torch.Tensor, pruned: torch.Tensor, m: int, least: float = 0.0,
              patience: int = 0, margins: int = 0) -> rows.Exchanged:
    if not batched:
        return rows.exchange(matrix, linear, pruned, m=m, least=least, patience=patience, margins=margins)
    count = len(linear)
    found = rows.Exchanged(
        solution=torch.zeros_like(linear), pruned=pruned.clone(), costs=linear.new_full((count, margins), torch.inf),
        going=torch.full((count, margins), -1), gains=linear.new_zeros(count, margins), coming=torch.full((count, margins), -1))
    floor = 10 * torch.finfo(matrix.dtype).eps * matrix.diagonal()
    exchange_batched(matrix, linear, torch.zeros(len(matrix), dtype=torch.bool), m, least, patience, floor, found)
    return found


def best_value(matrix: torch.Tensor, linear: torch.Tensor, pruned: torch.Tensor) -> tuple[torch.Tensor, float]:
    """The x that minimizes xAx − 2gx with x zero on the mask, and −min."""
    kept = (~pruned).nonzero()[:, 0]
    best = torch.zeros_like(linear)
    best[kept] = torch.linalg.inv(matrix[kept][:, kept]) @ linear[kept]
    return best, float(best @ linear)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("count", "size", "m", "share"), [(9, 12, 0, 0.5), (5, 16, 4, 0.5), (4, 9, 3, 0.7), (3, 7, 0, 0.0),
                                                        (3, 7, 0, 1.0)])
@pytest.mark.parametrize("batched", [False, True])
def test_after_the_exchanges_none_gains_more(batched, count, size, m, share, dtype):
    matrix = system(size, torch.float64)
    weight, pruned = random(count, size, torch.float64, share)
    linear = weight @ matrix
    done = exchanged(batched, matrix.to(dtype), linear.to(dtype), pruned, m, least=1e-4)
    found, mask = done.solution, done.pruned
    assert torch.equal(mask.sum(1), pruned.sum(1))
    if m:
        assert torch.equal(mask.view(count, -1, m).sum(2), pruned.view(count, -1, m).sum(2))
    for row in range(count):
        expected, value = best_value(matrix, linear[row], mask[row])
        assert torch.allclose(found[row].double(), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
        assert value >= best_value(matrix, linear[row], pruned[row])[1] - 1e-5
        for into in mask[row].nonzero()[:, 0]:
            for out in (~mask[row]).nonzero()[:, 0]:
                if m and into // m != out // m:
                    continue
                other = mask[row].clone()
                other[into], other[out] = False, True
                assert best_value(matrix, linear[row], other)[1] <= value + 1.1e-4


@pytest.mark.parametrize(("m", "patience"), [(0, 0), (0, 12), (4, 9)])
def test_compiled_and_batched_exchanges_are_the_same(m, patience):
    matrix, (weight, pruned) = system(40, torch.float64), random(30, 40, torch.float64)
    one, other = (exchanged(batched, matrix, weight @ matrix, pruned, m, 1e-6, patience, 5) for batched in (False, True))
    assert not torch.equal(one.pruned, pruned)
    for field in ("solution", "pruned", "costs", "going", "gains", "coming"):
        assert torch.allclose(getattr(one, field).double(), getattr(other, field).double(), rtol=1e-7, atol=1e-9), field


def strained(size: int) -> torch.Tensor:
    """A system of entries that stand for each other: here the first local best is seldom the last."""
    generator = torch.Generator().manual_seed(size)
    factors = torch.randn(size, 4, generator=generator, dtype=torch.float64)
    return factors @ factors.T + 0.05 * torch.eye(size, dtype=torch.float64)


@pytest.mark.parametrize("batched", [pytest.param(False, marks=pytest.mark.long), True])
def test_patience_finds_better_masks_and_never_a_worse_one(batched):
    size = 14
    matrix, (weight, pruned) = strained(size), random(12, size, torch.float64)
    linear = weight @ matrix
    values, least = {}, []
    for patience in (0, 6, 40):
        done = exchanged(batched, matrix, linear, pruned, 0, patience=patience)
        assert torch.equal(done.pruned.sum(1), pruned.sum(1))
        found = [best_value(matrix, linear[row], done.pruned[row]) for row in range(12)]
        for row, (expected, _) in enumerate(found):
            assert torch.allclose(done.solution[row], expected, rtol=1e-6, atol=1e-8), "back at the best mask seen, with its weights"
        values[patience] = torch.tensor([value for _, value in found])
    for row in range(12):  # every mask with as many entries
        count = int((~pruned[row]).sum())
        every = (torch.tensor([at not in kept for at in range(size)]) for kept in combinations(range(size), count))
        least.append(max(best_value(matrix, linear[row], mask)[1] for mask in every))
    best = torch.tensor(least)
    assert bool((values[6] >= values[0] - 1e-9).all())
    assert bool((values[40] >= values[6] - 1e-9).all())
    assert (best - values[40]).sum() < 0.5 * (best - values[0]).sum(), "most of what was left to find is found"
    assert bool((values[40] <= best + 1e-9).all())


def test_an_exchanged_entry_rests_but_never_all_of_a_kind():
    """So that there is always an exchange to make; a row of few entries of one kind rests as little as that kind allows."""
    assert [tenure(pruned, kept) for pruned, kept in ((1, 1), (2, 30), (3, 30), (30, 8), (30, 30), (45, 45), (48, 200))] == [
        1, 1, 2, 3, 11, 16, 16]
    for pruned in range(1, 80):
        for kept in range(1, 80):
            assert 1 <= tenure(pruned, kept) <= min(pruned, kept, 16)


@pytest.mark.parametrize("batched", [False, True])
def test_what_the_next_entries_cost_and_gain_is_what_leaving_them_out_or_in_changes(batched):
    matrix, (weight, pruned) = system(9, torch.float64), random(6, 9, torch.float64, 0.5)
    pruned[0], pruned[1] = False, True
    linear = weight @ matrix
    done = exchanged(batched, matrix, linear, pruned, 0, margins=3)
    for values, entries, gone in ((done.costs, done.going, True), (done.gains, done.coming, False)):
        for row in range(6):
            mask = done.pruned[row].clone()
            for value, entry in zip(values[row].tolist(), entries[row].tolist(), strict=True):
                if entry < 0:
                    assert not (mask != gone).any()
                    assert value == (float("inf") if gone else 0)
                    continue
                before = best_value(matrix, linear[row], mask)[1]
                others = [best_value(matrix, linear[row], flipped(mask, at))[1] for at in (mask != gone).nonzero()[:, 0]]
                mask = flipped(mask, entry)
                after = best_value(matrix, linear[row], mask)[1]
                assert after == pytest.approx(max(others), rel=1e-9), "the best of all single ones"
                assert value == pytest.approx(abs(after - before), rel=1e-6, abs=1e-9)


def flipped(mask: torch.Tensor, at: int | torch.Tensor) -> torch.Tensor:
    other = mask.clone()
    other[at] = ~other[at]
    return other


@pytest.mark.parametrize("batched", [False, True])
def test_a_row_whose_kept_entries_stand_for_each_other_is_left_alone(batched):
    matrix = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    pruned = torch.tensor([[False, False, True], [False, True, True]])
    done = exchanged(batched, matrix, torch.tensor([[1.0, 1.0, 5.0], [1.0, 1.0, 5.0]]), pruned, 0, margins=1)
    found, mask = done.solution, done.pruned
    assert found[0].isnan().all()
    assert done.going[0].tolist() == done.coming[0].tolist() == [-1], "and lends nothing"
    assert mask[0].tolist() == pruned[0].tolist()
    assert found[1].tolist() == [0.0, 0.0, 5.0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("count", "size", "gone"), [(1, 6, 3), (20, 12, 4), (7, 40, 30), (60, 24, 12)])
def test_no_exchange_of_whole_columns_is_left_that_gains(count, size, gone, dtype):
    """By explicit inverses, from a bad mask on; as the search does it that a GPU makes of products."""
    hessian = system(size, torch.float64)
    weight, _ = random(count, size, torch.float64)
    weight = weight + weight[:, :1]  # so that columns can stand for each other
    problem = LayerProblem(weight=weight.to(dtype), gram=hessian.to(dtype), tokens=2 * size)

    def loss(removed: torch.Tensor) -> float:
        lost, kept = removed.nonzero()[:, 0], (~removed).nonzero()[:, 0]
        schur = hessian[lost][:, lost] - hessian[lost][:, kept] @ torch.linalg.inv(hessian[kept][:, kept]) @ hessian[kept][:, lost]
        return float(((weight[:, lost] @ schur) * weight[:, lost]).sum())

    first = torch.zeros(size, dtype=torch.bool)
    first[:gone] = True
    fitted, inverse = _fit(problem, problem.working_gram, first, 0.0)
    last = exchange_columns(problem, problem.working_gram, fitted, inverse, first)
    assert int(last.sum()) == gone
    assert loss(last) < loss(first)
    for into, out in product(last.nonzero()[:, 0].tolist(), (~last).nonzero()[:, 0].tolist()):
        other = last.clone()
        other[into], other[out] = False, True
        assert loss(other) > loss(last) * (1 - 2e-5)  # the least gain that counts is 1e-5 of the first loss
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange_module, "exchange_columns_range", None)
        patch.setattr(torch.Tensor, "is_cuda", True)
        assert torch.equal(exchange_columns(problem, problem.working_gram, fitted, inverse, first), last)
