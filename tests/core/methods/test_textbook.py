"""Every method against its textbook (tests/oracles), and against numbers worked out by hand.

A new method is tested here as soon as it stands in METHODS; `test_every_method_has_a_textbook` asks for its oracle.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core import LayerProblem, Unstructured
from core.spec import METHODS
from tests import oracles
from tests.core.methods.cases import (
    LAYERS,
    NARROW,
    PATTERNS,
    arrays_of,
    combinations,
    drained,
    every_way,
    refused,
    ways,
    with_blocks,
)


def test_every_method_has_a_textbook():
    assert set(METHODS) == set(oracles.TEXTBOOK)


def close(found: torch.Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-7, atol=1e-9)


@combinations("way, pattern, shape", list(PATTERNS), NARROW, kinds=True)
def test_a_method_equals_its_textbook(layer, way, pattern, shape):
    problem = layer(**LAYERS[shape])
    weight, gram = arrays_of(problem)
    expected = way.textbook(problem, PATTERNS[pattern])
    solution = way(problem, PATTERNS[pattern])
    assert np.array_equal(solution.pruned.numpy(), expected.pruned)
    if way.name == "frontier" and "tokens" in LAYERS[shape]:  # unfinished conjugate gradients: 1e-14 of W moves the textbook by 0.02
        assert solution.relative_error == pytest.approx(oracles.relative_error(weight, expected.weight, gram), rel=0.05)
        return
    if solution.refitted_rows:  # the textbook has no guard: its own weights must be worse than none
        harm, none = (oracles.energies(weight - other, gram) for other in (expected.weight, np.where(expected.pruned, 0, weight)))
        assert (harm > none).any()
        assert solution.relative_error < oracles.relative_error(weight, expected.weight, gram)
        return
    close(solution.weight, expected.weight)
    assert solution.dense_rows.tolist() == expected.dense_rows
    assert solution.relative_error == pytest.approx(oracles.relative_error(weight, expected.weight, gram), abs=1e-12, rel=1e-9)


@pytest.mark.parametrize(("name", "pattern"), [
    pytest.param(name, pattern, marks=[pytest.mark.long] if name == "obc" and pattern != "columns a" else [])
    for name in METHODS for pattern in ("0.6 iso", "5:8", "columns a") if not refused(name, PATTERNS[pattern])])
def test_a_method_equals_its_textbook_on_172_inputs(layer, name, pattern):
    """Blocks of 128, of which the last is short, and a last group of four that has no eight."""
    problem, way = layer(**LAYERS["172 inputs"]), ways(name)[-1]
    expected, solution = way.textbook(problem, PATTERNS[pattern]), way(problem, PATTERNS[pattern])
    assert way.block_size >= 128
    assert np.array_equal(solution.pruned.numpy(), expected.pruned)
    close(solution.weight, expected.weight)


@every_way
def test_the_smallest_layers(layer, way):
    for rows, columns in ((1, 1), (1, 8), (8, 1), (3, 2)):
        problem = layer(rows, columns)
        for word in ("0.5", "0.5 columns", "1:1", "0:1"):
            pattern = SMALLEST[word]
            if refused(way.name, pattern):
                continue
            expected, solution = way.textbook(problem, pattern), way(problem, pattern)
            assert np.array_equal(solution.pruned.numpy(), expected.pruned), (rows, columns, word)
            np.testing.assert_allclose(solution.weight.numpy(), expected.weight, rtol=1e-9)


SMALLEST = {"0.5": Unstructured(sparsity=0.5), "0.5 columns": PATTERNS["columns"].model_copy(update={"sparsity": 0.5}),
            "1:1": PATTERNS["2:4"].model_copy(update={"n": 1, "m": 1}), "0:1": PATTERNS["2:4"].model_copy(update={"n": 0, "m": 1})}


@combinations("name, pattern, block_size", list(PATTERNS), (1, 7, 12, 64), subjects=["sparsegpt", "thanos"])
def test_every_step_equals_the_textbooks_and_the_losses_add_up_to_the_damped_error(layer, name, pattern, block_size):
    problem = layer(**LAYERS["16x32"])
    weight, gram = arrays_of(problem)
    expected = oracles.run(name, weight, gram, PATTERNS[pattern], block_size=block_size, damping=0.01).steps
    seen, solution = drained(problem, name, PATTERNS[pattern], block_size=block_size)
    assert [columns for columns, *_ in seen] == [(step.start, step.end) for step in expected]
    total = 0.0
    for (columns, pruned, now, loss), step in zip(seen, expected, strict=True):
        total += step.loss
        assert np.array_equal(pruned[:, slice(*columns)].numpy(), step.pruned)
        close(now.masked_fill(pruned, 0), step.weight)
        assert loss == pytest.approx(total, rel=1e-8, abs=1e-9)
    losses = [loss for *_, loss in seen]
    assert losses == sorted(losses)
    assert losses[-1] == pytest.approx(oracles.error(weight, solution.weight.numpy(), oracles.damped(gram, 0.01)), rel=1e-9, abs=1e-9)


def test_every_method_with_blocks_is_among_those_whose_steps_are_compared():
    assert with_blocks.args[1] == ["sparsegpt", "thanos"]


@every_way
def test_the_steps_end_in_the_same_solution(layer, way):
    problem = layer(8, 24)
    seen, last = drained(problem, way.name, PATTERNS["0.7 a"], **dict(way.parameters))
    solution = way(problem, PATTERNS["0.7 a"])
    assert torch.equal(last.weight, solution.weight)
    assert [columns[0] for columns, *_ in seen] == [0, *(columns[1] for columns, *_ in seen[:-1])]
    assert seen[-1][0][1] == 24


@pytest.mark.parametrize(("weight", "name", "block_size", "expected", "loss"), [
    ([1.0, 3.0], "thanos", 2, [0.0, 3.5], 1.5),  # Δ₂ = w₁H₁₂/H₂₂, cost w₁²(H₁₁ − H₁₂²/H₂₂)
    ([1.0, 3.0], "thanos", 1, [0.0, 3.5], 1.5),
    ([1.0, 3.0], "sparsegpt", 2, [0.0, 3.5], 1.5),
    ([3.0, 1.0], "thanos", 2, [3.5, 0.0], 1.5),
    ([3.0, 1.0], "thanos", 1, [3.0, 0.0], 2.0),  # the first column is frozen when the second goes: cost w₂²H₂₂
    ([3.0, 1.0], "sparsegpt", 2, [3.0, 0.0], 2.0),
    ([3.0, 1.0], "sparsegpt", 1, [3.0, 0.0], 2.0),  # shares ⌊1/2⌋ and 1
    ([1.0, 3.0], "sparsegpt", 1, [1.0, 0.0], 18.0),
])
def test_two_weights_by_hand(weight, name, block_size, expected, loss):
    """G = [[2, 1], [1, 2]], undamped: everything can be checked on paper."""
    gram = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    problem = LayerProblem(weight=torch.tensor([weight], dtype=torch.float64), gram=gram, tokens=2)
    seen, solution = drained(problem, name, Unstructured(sparsity=0.5), block_size=block_size, damping=0.0)
    assert solution.weight.tolist() == [pytest.approx(expected)]
    assert seen[-1][3] == pytest.approx(loss)
    assert solution.relative_error == pytest.approx(loss / 26)  # wGwᵀ = 26 for both


# A golden trace: 16×32, made of integers, so that no random generator is part of it. From the float64 oracle.


def golden_layer() -> tuple[np.ndarray, np.ndarray]:
    i, j = np.indices((16, 32))
    weight = ((i * 7919 + j * 104729 + i * j * 31 + 17) % 1009 - 504) / 250
    t, k = np.indices((32, 96))
    inputs = ((t * 3571 + k * 7717 + t * k * k * 13 + 5) % 997 - 498) / 300 + ((k * 37 + t // 4 * 11) % 19 - 9) / 6
    return weight, inputs @ inputs.T


GOLDEN = {
    ("sparsegpt", "0.5", 8): ([3389.033, 5536.702, 9987.503, 12908.26], 0.08560426, "7b8ce63179c738e3"),
    ("sparsegpt", "2:4", 16): ([9541.614, 20197.13], 0.1331933, "399cc63969c53963"),
    ("sparsegpt", "columns", 8): ([3209.898, 10863.14, 14895.59, 22664.01], 0.149862, "60d0846260d08462"),
    ("thanos", "0.5", 8): ([1714.755, 4079.635, 8678.811, 12766.58], 0.08466266, "319ce63971c738e3"),
    ("thanos", "2:4", 16): ([9301.708, 18234.81], 0.1196427, "339cc63933c63963"),
    ("thanos", "columns", 8): ([17984.95], 0.1184552, "21c3206221c32062"),
}


@pytest.mark.parametrize(("name", "pattern", "block_size"), GOLDEN)
@pytest.mark.parametrize("who", ["oracle", "core"])
def test_the_golden_trace(who, name, pattern, block_size):
    """Losses so far after each block, the relative error, and the pruned columns of the first two rows as hexadecimal words."""
    losses, error, words = GOLDEN[name, pattern, block_size]
    weight, gram = golden_layer()
    if who == "oracle":
        run = oracles.run(name, weight, gram, PATTERNS[pattern], block_size=block_size, damping=0.01)
        seen, pruned = np.cumsum([step.loss for step in run.steps]), run.pruned
        relative = oracles.relative_error(weight, run.weight, gram)
    else:
        problem = LayerProblem(weight=torch.tensor(weight), gram=torch.tensor(gram), tokens=96)
        trace, solution = drained(problem, name, PATTERNS[pattern], block_size=block_size)
        seen, pruned, relative = [loss for *_, loss in trace], solution.pruned.numpy(), solution.relative_error
    assert list(seen) == pytest.approx(losses, rel=1e-6)
    assert relative == pytest.approx(error, rel=1e-6)
    assert np.packbits(pruned[:2]).tobytes().hex() == words
