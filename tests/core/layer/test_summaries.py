"""What is shown of a layer, against naive loops."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from core import SemiStructured, Structured, Unstructured, optimum, solve
from core.layer.summaries import cell_shape, error_parts, mask_png, reduce_blocks, weight_histogram
from tests.oracles import error
from tests.pairwise import pairwise, parametrize

SHAPES = [(1, 1), (1, 172), (7, 5), (64, 64), (65, 129), (33, 700), (1100, 3)]
PATTERNS = [Unstructured(sparsity=0.6, outlier_rows=0.1), SemiStructured(n=3, m=8), Structured(sparsity=0.3), Unstructured(sparsity=0)]


def naive(matrix, most, how):
    rows, columns = matrix.shape
    high, wide = math.ceil(rows / most), math.ceil(columns / most)
    cells = []
    for top in range(0, rows, high):
        line = []
        for left in range(0, columns, wide):
            block = matrix[top : top + high, left : left + wide].ravel()
            line.append({"mean": block.mean(), "rms": math.sqrt((block**2).mean()), "extreme": max(block, key=lambda v: (abs(v), v))}[how])
        cells.append(line)
    return np.array(cells)


@parametrize("shape, how, most", pairwise(SHAPES, ["mean", "rms", "extreme"], [1, 4, 64, 512]))
def test_blocks_are_reduced_as_a_loop_would(shape, how, most):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    cells = reduce_blocks(matrix, most, how)
    assert max(cells.shape) <= most
    assert cells.shape == tuple(math.ceil(n / k) for n, k in zip(shape, cell_shape(shape, most), strict=True))
    np.testing.assert_allclose(cells.numpy(), naive(matrix.numpy(), most, how), rtol=1e-5, atol=1e-6)


def test_the_sign_of_an_extreme_and_the_share_of_a_mask():
    matrix = torch.tensor([[1.0, -3.0, 2.0, -2.0], [0.0, 0.0, 0.0, 0.0]])
    assert reduce_blocks(matrix, 2, "extreme").tolist() == [[-3.0, 2.0], [0.0, 0.0]]
    assert reduce_blocks(matrix < 0, 1).tolist() == [[0.25]]


@pytest.mark.parametrize(("rows", "columns"), [(1, 172), (6, 1), (24, 40), (520, 16)])
@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.kind)
def test_the_error_is_shared_out_without_a_rest(layer, rows, columns, pattern):
    if isinstance(pattern, SemiStructured) and columns < pattern.m:
        pytest.skip("not one group")
    problem = layer(rows, columns, dead=(columns // 2,))
    solution = solve(problem, "thanos", pattern, block_size=16)
    by_row, by_column = error_parts(problem, solution.weight)
    origin, after, gram = problem.weight.numpy(), solution.weight.numpy(), problem.gram.numpy()
    whole = error(origin, after, gram)
    assert float(by_row.sum()) == pytest.approx(whole, rel=1e-9, abs=1e-9)
    assert float(by_column.sum()) == pytest.approx(whole, rel=1e-9, abs=1e-9)
    change = after - origin
    np.testing.assert_allclose(by_row.numpy(), [row @ gram @ row for row in change], rtol=1e-9, atol=1e-9 * max(1, whole))
    columns_naive = [sum(change[i, j] * (change[i] @ gram[:, j]) for i in range(rows)) for j in range(columns)]
    np.testing.assert_allclose(by_column.numpy(), columns_naive, rtol=1e-9, atol=1e-9 * max(1, whole))
    assert not by_row[solution.dense_rows].any()


def test_at_the_optimum_only_columns_that_lost_weights_have_a_part(layer):
    problem = layer(12, 32)
    solution = solve(problem, "wanda", Structured(sparsity=0.25))
    _, parts = error_parts(problem, optimum(problem, solution.pruned))
    assert float(parts[~solution.pruned[0]].abs().max()) < 1e-5 * float(parts.sum())


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.kind)
def test_every_weight_is_in_a_histogram_once(layer, pattern):
    problem = layer(16, 43, dtype=torch.float32)
    solution = solve(problem, "sparsegpt", pattern)
    shown = weight_histogram(problem.weight, solution, bins=31)
    gone = int(solution.pruned.sum())
    assert (int(shown.kept_before.sum()), int(shown.kept_after.sum()), int(shown.removed_before.sum())) == (688 - gone, 688 - gone, gone)
    edges = shown.edges.numpy()
    assert np.allclose(edges, -edges[::-1])
    inner = problem.weight[~solution.pruned].numpy()
    expected = np.histogram(inner, edges)[0]
    assert np.abs(expected - shown.kept_before.numpy()).sum() <= 4, "only a weight on an edge may fall to either side"


def test_a_histogram_of_nothing_but_zeros(layer):
    problem = layer(2, 3).with_weight(torch.zeros(2, 3, dtype=torch.float64))
    shown = weight_histogram(problem.weight, solve(problem, "magnitude", Unstructured(sparsity=0.5)), bins=5)
    assert shown.kept_before.tolist() == [0, 0, 3, 0, 0]


@pytest.mark.parametrize("shape", [*SHAPES, (3, 8), (2, 9)])
def test_the_png_of_a_mask_is_the_mask(shape):
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(2)) < 0.4
    image = Image.open(io.BytesIO(mask_png(mask)))
    assert (image.mode, image.size) == ("1", shape[::-1])
    np.testing.assert_array_equal(~np.array(image), mask.numpy())
