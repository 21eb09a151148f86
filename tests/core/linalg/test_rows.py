"""Subset systems, column sweeps and greedy traces: the compiled kernels and their batched twins, against explicit inverses."""


import numpy as np
import pytest
import torch

from core.linalg import rows
from core.linalg import threads as ranges
from core.linalg.cpu.row_systems import solve_rows_range
from core.linalg.cpu.sweeps import sweep_range
from core.methods.obc import _columns_batched
from tests.core.linalg.systems import TOLERANCE, random, system


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
