"""The compiled kernels and their batched twins for a GPU, against explicit inverses; the GPU's run on the CPU here."""

from itertools import combinations, product

import numpy as np
import pytest
import torch

from core.layer import swap_search as exchange_module
from core.layer.problem import LayerProblem
from core.layer.swap_search import exchange_columns
from core.linalg import rows
from core.linalg import threads as ranges
from core.linalg.cpu.row_systems import solve_rows_range
from core.linalg.cpu.swaps import tenure
from core.linalg.cpu.sweeps import sweep_range
from core.linalg.swaps_batched import exchange_batched
from core.methods.frontier import _fit
from core.methods.obc import _columns_batched

TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-4}


def system(size: int, dtype: torch.dtype) -> torch.Tensor:
    inputs = torch.randn(size, 2 * size, dtype=torch.float64, generator=torch.Generator().manual_seed(size))
    return (inputs @ inputs.T / size + 0.1 * torch.eye(size, dtype=torch.float64)).to(dtype)


def random(rows_: int, columns: int, dtype: torch.dtype, share: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows_ * columns)
    return torch.randn(rows_, columns, dtype=dtype, generator=generator), torch.rand(rows_, columns, generator=generator) < share


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("count", "size", "share"), [(1, 1, 1.0), (7, 5, 0.5), (40, 33, 0.5), (3, 64, 1.0), (5, 16, 0.0), (300, 48, 0.7)])
@pytest.mark.parametrize("solve", [rows.solve_subsets, rows._solve_batched])
def test_subset_systems(solve, count, size, share, dtype):
    matrix = system(size, dtype)
    weight, subset = random(count, size, dtype, share)
    found = solve(matrix, weight, subset)
    for row in range(count):
        chosen = subset[row].nonzero()[:, 0]
        expected = torch.zeros(size, dtype=torch.float64)
        expected[chosen] = torch.linalg.inv(matrix.double()[chosen][:, chosen]) @ weight[row].double()[chosen]
        assert torch.allclose(found[row].double(), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
        assert not found[row][~subset[row]].any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("begin", "width"), [(0, 24), (8, 4), (20, 4)])
@pytest.mark.parametrize("sweep", [rows.sweep, rows._sweep_columns])
def test_sweep_is_one_obs_update_after_another(sweep, begin, width, dtype):
    """Column j: δw = −w_j/[H⁻¹]_jj · [H⁻¹]_j: with the inverse of the Hessian of the columns from j on (the left is frozen)."""
    inverse = system(24, torch.float64)
    hessian = torch.linalg.inv(inverse)
    upper = torch.linalg.cholesky(inverse, upper=True)
    weight, mask = random(9, 24, torch.float64)
    pruned = mask[:, begin : begin + width]
    block, errors = weight.to(dtype, copy=True), torch.zeros(9, 24, dtype=dtype)
    sweep(block, errors, upper.to(dtype), pruned, begin)
    expected = weight.clone()
    losses = torch.zeros(9, dtype=torch.float64)
    for row in range(9):
        for j in range(begin, begin + width):
            if mask[row, j]:
                trailing = torch.linalg.inv(hessian[j:, j:])
                losses[row] += expected[row, j] ** 2 / trailing[0, 0]
                expected[row, j:] -= expected[row, j] / trailing[0, 0] * trailing[0]
                expected[row, j] = 0
    assert torch.allclose(block.double(), expected, rtol=0, atol=TOLERANCE[dtype])
    assert torch.allclose(errors.double().square().sum(1), losses, rtol=1e-3 if dtype == torch.float32 else 1e-9)
    assert not block[:, begin : begin + width][pruned].any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("size", [1, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 257])
def test_subset_systems_of_any_size_beside_the_edges_of_the_tiles(size, dtype):
    """Rows with 0, 1, … chosen columns, around every multiple of a tile, in one call: what a row leaves behind reaches no other."""
    matrix = system(size, dtype)
    counts = sorted({count for edge in range(0, size + 1, 8) for count in (edge - 1, edge, edge + 1) if 0 <= count <= size} | {size})
    counts = counts[::-1] + counts  # from large to small and back: the larger row leaves its numbers beside the smaller one's
    generator = torch.Generator().manual_seed(size)
    weight, subset = torch.randn(len(counts), size, dtype=dtype, generator=generator), torch.zeros(len(counts), size, dtype=torch.bool)
    for row, count in enumerate(counts):
        subset[row, torch.randperm(size, generator=generator)[:count]] = True
    found = rows.solve_subsets(matrix, weight, subset)
    assert not found[~subset].any()
    for row in range(len(counts)):
        chosen = subset[row].nonzero()[:, 0].numpy()
        expected = np.linalg.solve(matrix.double().numpy()[np.ix_(chosen, chosen)], weight[row].double().numpy()[chosen])
        np.testing.assert_allclose(found[row].double().numpy()[chosen], expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_split_into_threads_moves_no_bit(dtype):
    matrix, (weight, subset) = system(64, dtype), random(500, 64, dtype)
    whole, parts = torch.zeros(500, 64, dtype=dtype), torch.zeros(500, 64, dtype=dtype)
    solve_rows_range(matrix.numpy(), weight.numpy(), subset.numpy(), whole.numpy(), 0, 500)
    for first, last in ((0, 17), (17, 300), (300, 500)):
        solve_rows_range(matrix.numpy(), weight.numpy(), subset.numpy(), parts.numpy(), first, last)
    assert torch.equal(whole, parts)
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            assert torch.equal(rows.solve_subsets(matrix, weight, subset), whole)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("at", [0, 5, 15, 16, 40, 63])
def test_an_indefinite_system_gives_nan_wherever_its_pivot_fails_and_only_there(at, dtype):
    matrix = system(64, dtype)
    matrix[at, at] = -1.0
    subset = torch.ones(3, 64, dtype=torch.bool)
    subset[1, at] = False
    found = rows.solve_subsets(matrix, torch.ones(3, 64, dtype=dtype), subset)
    assert found[0].isnan().all()
    assert torch.equal(found[0].isnan(), found[2].isnan())
    assert found[1].isfinite().all()


def test_an_indefinite_system_gives_nan_not_a_wrong_number():
    matrix = torch.tensor([[1.0, 2.0], [2.0, 1.0]])
    assert rows.solve_subsets(matrix, torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool)).isnan().any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (0, 3), (3, 3), (1, 1), (5, 16), (4, 40)])
def test_a_sweep_that_chooses_its_groups_is_a_choice_and_a_sweep_group_by_group(n, m, dtype):
    weight, _ = random(37, 40, dtype)
    weight[3] = 1  # ties, until the sweep undoes them
    upper = torch.linalg.cholesky(system(40, dtype), upper=True)
    dead = torch.zeros(40, dtype=torch.bool)
    dead[[2, 9, 10]] = True
    block, errors = weight.clone(), torch.zeros(37, 40, dtype=dtype)
    pruned = rows.sweep_groups(block, errors, upper, dead, n, m)
    by_hand, its_errors, its_mask = weight.clone(), torch.zeros(37, 40, dtype=dtype), torch.zeros_like(pruned)
    for start in range(0, 40 // m * m, m):
        part = slice(start, start + m)
        scores = (by_hand[:, part] / upper.diagonal()[part]).square().masked_fill(dead[part], -1)
        order = scores.sort(dim=1, stable=True).indices[:, :n]
        its_mask[:, part] = torch.zeros(37, m, dtype=torch.bool).scatter_(1, order, True)
        rows.sweep(by_hand, its_errors, upper, its_mask[:, part].contiguous(), start)
    assert torch.equal(pruned, its_mask)
    assert torch.equal(block, by_hand)
    assert torch.equal(errors, its_errors)


@pytest.mark.parametrize(("size", "length", "n", "m"), [
    (7, 7, 0, 0), (8, 8, 0, 0), (9, 3, 0, 0), (40, 40, 0, 0), (40, 20, 2, 4), (21, 15, 3, 4),
])
def test_a_trace_removes_what_costs_least_each_time_by_explicit_inverses(size, length, n, m):
    """Also where removals are applied to the matrix some at a time: 7, 8, 9 and 40 of them."""
    hessian = system(size, torch.float64)
    weight, _ = random(5, size, torch.float64)
    dead = torch.zeros(size, dtype=torch.bool)
    dead[2] = True
    hessian[2] = hessian[:, 2] = 0
    hessian[2, 2] = 1
    order, costs = rows.trace(torch.linalg.inv(hessian), weight, dead, length, n=n, m=m)
    for row in range(5):
        kept, taken = list(range(size)), [0] * (size // m + 1 if m else 1)
        current = weight[row].clone()
        for place in range(length):
            inverse = torch.linalg.inv(hessian[kept][:, kept])
            allowed = [i for i, k in enumerate(kept) if not m or (k < size // m * m and taken[k // m] < n)]
            cost, at = min((-1.0 if dead[kept[i]] else float(current[kept[i]] ** 2 / inverse[i, i]), i) for i in allowed)
            assert int(order[row, place]) == kept[at]
            assert float(costs[row, place]) == pytest.approx(cost, rel=1e-9)
            current[kept] -= inverse[at] * current[kept[at]] / inverse[at, at]
            if m:
                taken[kept[at] // m] += 1
            del kept[at]


def test_compiled_sweep_leaves_other_rows_alone():
    weight, mask = random(6, 8, torch.float64)
    block, errors = weight.clone(), torch.zeros(6, 8, dtype=torch.float64)
    upper = torch.linalg.cholesky(system(8, torch.float64), upper=True)
    sweep_range(block.numpy(), errors.numpy(), upper.numpy(), mask.numpy(), 0, 8, 2, 4)
    assert torch.equal(block[[0, 1, 4, 5]], weight[[0, 1, 4, 5]])
    assert not torch.equal(block[2:4], weight[2:4])


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
    """The x that minimises xAx − 2gx with x zero on the mask, and −min."""
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


@pytest.mark.parametrize("batched", [False, True])
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


@pytest.mark.parametrize(("count", "size"), [(1, 1), (9, 7), (5, 40), (30, 33)])
def test_whole_columns_go_in_the_order_of_explicit_inverses(count, size, monkeypatch):
    """Each time the column of least Σ w²/[H_KK⁻¹]_qq with all kept weights refitted, whatever was downdated; pieces move nothing."""
    hessian = system(size, torch.float64)
    weight, _ = random(count, size, torch.float64)
    dead = torch.zeros(size, dtype=torch.bool)
    dead[size // 2] = size > 1
    order: list[int] = [size // 2] if size > 1 else []
    while len(order) < size:
        kept = torch.tensor([j for j in range(size) if j not in order])
        inverse = torch.linalg.inv(hessian[kept][:, kept])
        gone = torch.tensor(order, dtype=torch.int64)
        best = weight[:, kept] + weight[:, gone] @ hessian[gone][:, kept] @ inverse
        order.append(int(kept[(best.square().sum(0) / inverse.diagonal()).argmin()]))
    for piece in (1, ranges._PIECE):
        monkeypatch.setattr(ranges, "_PIECE", piece)
        for length in {0, 1, size // 3, size - 1, size}:
            found = rows.trace_columns(torch.linalg.inv(hessian), weight, dead, length)
            assert found.nonzero()[:, 0].tolist() == sorted(order[:length])
            assert torch.equal(found, _columns_batched(torch.linalg.inv(hessian), weight, dead, length))


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
