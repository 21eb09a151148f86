"""Every method of core.spec, on every pattern: against the textbook (tests/oracles.py) and against what must hold for any method.

A new method is tested here as soon as it stands in METHODS; `test_every_method_has_a_textbook` asks for its oracle.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import core
from core import BadInput, LayerProblem, LayerSolution, SemiStructured, Structured, Unstructured, optimum, steps
from core.spec import METHODS, RunSpec, make_method
from core.spec.flags import read_words
from tests import oracles

PATTERNS = {
    "0.5": Unstructured(sparsity=0.5),
    "0.9": Unstructured(sparsity=0.9),
    "0.7 a": Unstructured(sparsity=0.7, outlier_rows=0.3),
    "0.6 iso": Unstructured(sparsity=0.6, outlier_rows=0.3, alpha_budget="iso"),
    "2:4": SemiStructured(n=2, m=4),
    "5:8": SemiStructured(n=5, m=8),
    "1:3 a": SemiStructured(n=1, m=3, outlier_rows=0.3),
    "2:4 iso": SemiStructured(n=2, m=4, outlier_rows=0.5, alpha_budget="iso"),
    "0:4": SemiStructured(n=0, m=4),
    "4:4": SemiStructured(n=4, m=4),
    "columns": Structured(sparsity=0.3),
    "columns a": Structured(sparsity=0.45, outlier_rows=0.3),
}
LAYERS = {
    "16x32": {"rows": 16, "columns": 32},
    "172 inputs": {"rows": 4, "columns": 172},
    "one row": {"rows": 1, "columns": 19},
    "dead inputs": {"rows": 7, "columns": 30, "dead": (0, 5, 6, 29)},
    "rank-deficient": {"rows": 6, "columns": 33, "tokens": 11},
}
SOME = ("0.5", "0.6 iso", "1:3 a", "2:4", "columns a")
NARROW = {name: shape for name, shape in LAYERS.items() if shape["columns"] < 100}
every_method = pytest.mark.parametrize("name", METHODS)
every_pattern = pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
some_patterns = pytest.mark.parametrize("pattern", [PATTERNS[word] for word in SOME], ids=SOME)
converging = pytest.mark.parametrize(("name", "parameters"), [
    ("admm1", {"iterations": 3000, "damping": 0.05}), ("admm-grad", {"iterations": 3000, "damping": 0.05}),
    ("frontier", {"polish": 300, "damping": 0.05}), ("obc", {"damping": 0.05}),
])
updates = pytest.mark.parametrize("name", [name for name in METHODS if "block_size" in METHODS[name].model_fields])


def has(name: str, parameter: str) -> bool:
    return parameter in METHODS[name].model_fields


def undamped(name: str) -> dict[str, object]:
    """Damping makes ADMM-Grad's pruned entries of equal inputs look larger than they are, by 1 + λ: not a tie any more."""
    return {"damping": 0.0} if has(name, "damping") else {}


def refused(name: str, pattern: object) -> bool:
    return pattern.kind in METHODS[name].refuses


def solve(problem: LayerProblem, method: object, pattern: object, **parameters: object) -> LayerSolution:
    """As core's; a pattern that has no meaning for the method is refused, and the test is over."""
    if method in METHODS and refused(method, pattern):
        with pytest.raises(BadInput, match=METHODS[method].refuses[pattern.kind]):
            core.solve(problem, method, pattern, **parameters)
        pytest.skip(f"refused by {method}")
    return core.solve(problem, method, pattern, **parameters)


def given_layer(weight: torch.Tensor, gram: torch.Tensor, *, tokens: int = 9, mean: torch.Tensor | None = None) -> LayerProblem:
    """A layer whose inputs have mean 0 unless it is said."""
    return LayerProblem(weight=weight, gram=gram, tokens=tokens, mean=torch.zeros(len(gram)) if mean is None else mean)


def changed(problem: LayerProblem, **values: object) -> LayerProblem:
    """The same layer but for `values`; nothing computed before is shared."""
    kept = {name: getattr(problem, name) for name in ("weight", "gram", "tokens", "name", "mean")}
    return LayerProblem(**(kept | values))


def granularity(method: object) -> str:
    """Within what a method counts: DSnoT within what its first mask does, by that method's default."""
    first = make_method(method.mask) if method.name == "dsnot" else method
    return getattr(first, "granularity", "layer")


@dataclass(frozen=True)
class Way:
    """A method with its parameters."""

    name: str
    parameters: tuple[tuple[str, object], ...] = ()

    def __call__(self, problem: LayerProblem, pattern: object, **more: object) -> LayerSolution:
        return solve(problem, self.name, pattern, **dict(self.parameters), **more)

    def __str__(self) -> str:
        return "-".join([self.name, *(str(value) for _, value in self.parameters)])

    @property
    def granularity(self) -> str:
        return granularity(make_method(self.name, **dict(self.parameters)))

    @property
    def block_size(self) -> int:
        """B; for a method without blocks a block that is as wide as any layer here."""
        return dict(self.parameters).get("block_size", 1000)

    def textbook(self, problem: LayerProblem, pattern: object) -> oracles.Pruned:
        if refused(self.name, pattern):
            pytest.skip(f"refused by {self.name}")
        inputs = {"mean": problem.mean.double().numpy(), "tokens": problem.tokens} if self.name == "dsnot" else {}
        return oracles.run(self.name, *arrays_of(problem), pattern, **inputs, **dict(self.parameters))


WAYS: dict[str, tuple[dict[str, object], ...]] = {
    "admm1": ({}, {"iterations": 3, "damping": 0.5, "granularity": "layer"}),
    "admm-grad": ({}, {"iterations": 9, "damping": 0.0, "granularity": "row"}),
    "obc": ({}, {"damping": 0.2, "granularity": "row"}),
    "adaprune": ({"iterations": 20},
                 {"optimizer": "sgd", "mask": "magnitude", "granularity": "layer", "iterations": 30, "learning_rate": 1.5}),
    "dsnot": ({}, {"mask": "sparsegpt", "cycles": 7, "threshold": 0.0}, {"mask": "magnitude", "threshold": 0.02}),
    "frontier": ({"patience": 5}, {"patience": 0},
                 {"rounds": 4, "steps": 2, "search": 0, "polish": 0, "damping": 0.3},
                 {"rounds": 3, "search": 9, "patience": 3, "damping": 0.1}),
}


def ways(name: str) -> list[Way]:
    """The parameters that lead through different code."""
    if has(name, "block_size"):
        return [Way(name, (("block_size", size), ("damping", damping))) for size, damping in ((1, 0.01), (14, 0.3), (128, 0.01))]
    if name in WAYS:
        return [Way(name, tuple(parameters.items())) for parameters in WAYS[name]]
    return [Way(name, (("granularity", within),)) for within in ("layer", "row")] if has(name, "granularity") else [Way(name)]


every_way = pytest.mark.parametrize("way", [way for name in METHODS for way in ways(name)], ids=str)


def kind(pattern: object) -> str:
    return pattern.kind


def arrays_of(problem: LayerProblem) -> tuple[np.ndarray, np.ndarray]:
    return problem.weight.double().numpy(), problem.gram.double().numpy()


def drained(problem: LayerProblem, name: str, pattern: object, **parameters: object) -> tuple[list, LayerSolution]:
    """All steps as (columns, pruned, weight, loss), copied as they pass by, and the solution."""
    generator, seen = steps(problem, make_method(name, **parameters), pattern), []
    while True:
        try:
            step = next(generator)
        except StopIteration as stop:
            return seen, stop.value
        loss = None if step.loss is None else float(step.loss)
        seen.append((step.columns, step.pruned.clone(), step.weight.clone(), loss))


# The textbook.


def test_every_method_has_a_textbook():
    assert set(METHODS) == set(oracles.TEXTBOOK)


@every_way
@every_pattern
@pytest.mark.parametrize("shape", NARROW.values(), ids=NARROW)
def test_a_method_equals_its_textbook(layer, shape, pattern, way):
    problem = layer(**shape)
    weight, gram = arrays_of(problem)
    expected = way.textbook(problem, pattern)
    solution = way(problem, pattern)
    assert np.array_equal(solution.pruned.numpy(), expected.pruned)
    if way.name == "frontier" and "tokens" in shape:  # unfinished conjugate gradients: 1e-14 of W moves the textbook itself by 0.02
        assert solution.relative_error == pytest.approx(oracles.relative_error(weight, expected.weight, gram), rel=0.05)
        return
    if solution.refitted_rows:  # the textbook has no guard: its own weights must be worse than none
        harm, none = (oracles.energies(weight - found, gram) for found in (expected.weight, np.where(expected.pruned, 0, weight)))
        assert (harm > none).any()
        assert solution.relative_error < oracles.relative_error(weight, expected.weight, gram)
        return
    np.testing.assert_allclose(solution.weight.numpy(), expected.weight, rtol=1e-7, atol=1e-9)
    assert solution.dense_rows.tolist() == expected.dense_rows
    assert solution.relative_error == pytest.approx(oracles.relative_error(weight, expected.weight, gram), abs=1e-12, rel=1e-9)


@every_method
@pytest.mark.parametrize("pattern", ["0.6 iso", "5:8", "columns a"])
def test_a_method_equals_its_textbook_on_172_inputs(layer, name, pattern):
    """Blocks of 128, of which the last is short, and a last group of four that has no eight."""
    problem, way = layer(**LAYERS["172 inputs"]), ways(name)[-1]
    expected, solution = way.textbook(problem, PATTERNS[pattern]), way(problem, PATTERNS[pattern])
    assert way.block_size >= 128
    assert np.array_equal(solution.pruned.numpy(), expected.pruned)
    np.testing.assert_allclose(solution.weight.numpy(), expected.weight, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("block_size", [1, 12, 64])
@every_pattern
@updates
def test_every_step_equals_the_textbooks(layer, name, pattern, block_size):
    problem = layer(**LAYERS["16x32"])
    expected = oracles.run(name, *arrays_of(problem), pattern, block_size=block_size, damping=0.01).steps
    seen, _ = drained(problem, name, pattern, block_size=block_size)
    assert [columns for columns, *_ in seen] == [(step.start, step.end) for step in expected]
    total = 0.0
    for (columns, pruned, weight, loss), step in zip(seen, expected, strict=True):
        total += step.loss
        assert np.array_equal(pruned[:, slice(*columns)].numpy(), step.pruned)
        np.testing.assert_allclose(weight.masked_fill(pruned, 0).numpy(), step.weight, rtol=1e-7, atol=1e-9)
        assert loss == pytest.approx(total, rel=1e-8, abs=1e-9)


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


# Counts.


@every_way
@every_pattern
def test_counts_zeros_and_dense_rows_are_exact(layer, pattern, way):
    problem = layer(**LAYERS["16x32"], dtype=torch.bfloat16)
    solution = way(problem, pattern)
    asked = oracles.ask(*arrays_of(problem), pattern)
    zeros = oracles.zeros_asked(asked, 32, per_row=way.granularity == "row")
    assert int(solution.pruned.sum()) == zeros
    assert not solution.weight[solution.pruned].any()
    assert solution.counted_sparsity == int((solution.weight == 0).sum()) / solution.weight.numel()
    assert solution.counted_sparsity == pytest.approx(int(solution.pruned.sum()) / solution.pruned.numel(), abs=0.01)
    assert torch.equal(solution.weight[asked.dense], problem.weight[asked.dense])
    assert not solution.pruned[asked.dense].any()
    assert solution.dense_rows.tolist() == asked.dense
    assert solution.dense_rows.dtype == torch.int64
    assert solution.weight.dtype == problem.weight.dtype
    assert solution.weight.isfinite().all()


percent, half = st.integers(0, 99).map(lambda k: k / 100), st.integers(0, 49).map(lambda k: k / 100)
any_pattern = st.one_of(
    st.builds(Unstructured, sparsity=percent, outlier_rows=percent),
    st.builds(Unstructured, sparsity=half, outlier_rows=half, alpha_budget=st.just("iso")),
    st.builds(Structured, sparsity=half, outlier_rows=half),
    st.integers(1, 12).flatmap(lambda m: st.builds(SemiStructured, n=st.integers(0, m), m=st.just(m), outlier_rows=percent)),
)


@every_method
@settings(max_examples=25)
@given(size=st.tuples(st.integers(1, 40), st.integers(1, 40)), pattern=any_pattern, block_size=st.integers(1, 50), data=st.data())
def test_any_pattern_on_any_layer(name, size, pattern, block_size, data):
    rows, columns = size
    tokens = data.draw(st.integers(1, 60), label="tokens")
    dead = tuple(data.draw(st.sets(st.integers(0, columns - 1), max_size=3), label="dead"))
    weight, gram = oracles.random_layer(rows, columns, tokens=tokens, dead=dead)
    problem = given_layer(torch.tensor(weight), torch.tensor(gram), tokens=tokens)
    if refused(name, pattern):
        with pytest.raises(BadInput, match="pattern"):
            core.solve(problem, name, pattern)
        return
    parameters = {"block_size": block_size} if has(name, "block_size") else {}
    if isinstance(pattern, SemiStructured) and pattern.m > columns:
        with pytest.raises(BadInput, match="m:"):
            solve(problem, name, pattern, **parameters)
        return
    solution = solve(problem, name, pattern, **parameters)
    asked = oracles.ask(weight, gram, pattern)
    per_row = granularity(make_method(name)) == "row"
    assert int(solution.pruned.sum()) == oracles.zeros_asked(asked, columns, per_row=per_row)
    assert not solution.weight[solution.pruned].any()
    assert torch.equal(solution.weight[asked.dense], problem.weight[asked.dense])
    assert not solution.pruned[asked.dense].any()
    if asked.groups and asked.active:
        n, m = asked.groups
        whole = columns // m * m
        counts = solution.pruned[asked.active, :whole].reshape(len(asked.active), -1, m).sum(2)
        assert (counts == n).all()
        assert solution.dense_columns == columns - whole
        assert not solution.pruned[:, whole:].any()
    if asked.columns is not None and asked.active:
        assert (solution.pruned[asked.active] == solution.pruned[asked.active[0]]).all()
    energy = oracles.energies(weight, gram).sum()
    if energy > 0:
        least = oracles.least_error(weight, gram, solution.pruned.numpy()) / energy
        assert solution.relative_error >= least * (1 - 1e-6) - 1e-9


@every_way
@pytest.mark.parametrize("pattern", [Unstructured(sparsity=0), Structured(sparsity=0), SemiStructured(n=0, m=5)], ids=kind)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_sparsity_zero_is_the_identity(layer, way, pattern, dtype):
    problem = layer(6, 17, dtype=dtype, dead=(3,))
    assert torch.equal(way(problem, pattern, refit=True).weight, problem.weight)
    solution = way(problem, pattern)
    assert torch.equal(solution.weight, problem.weight)
    assert not solution.pruned.any()
    assert solution.relative_error == solution.counted_sparsity == 0


@every_way
def test_everything_pruned_is_nothing_left(layer, way):
    problem = layer(5, 16)
    solution = way(problem, SemiStructured(n=8, m=8))
    assert solution.pruned.all()
    assert not solution.weight.any()
    assert solution.relative_error == pytest.approx(1.0)


@every_way
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 8), (8, 1), (3, 2)])
def test_the_smallest_layers(layer, way, rows, columns):
    for pattern in (Unstructured(sparsity=0.5), Structured(sparsity=0.5), SemiStructured(n=1, m=1), SemiStructured(n=0, m=1)):
        if refused(way.name, pattern):
            continue
        problem = layer(rows, columns)
        expected, solution = way.textbook(problem, pattern), way(problem, pattern)
        assert np.array_equal(solution.pruned.numpy(), expected.pruned)
        np.testing.assert_allclose(solution.weight.numpy(), expected.weight, rtol=1e-9)


@every_method
def test_a_short_last_group_is_left_dense_and_counted(layer, name):
    solution = solve(layer(4, 172), name, SemiStructured(n=4, m=8), **({"block_size": 128} if has(name, "block_size") else {}))
    assert solution.dense_columns == 4
    assert not solution.pruned[:, 168:].any()
    assert int(solution.pruned.sum()) == 4 * 21 * 4
    assert solution.counted_sparsity == 84 / 172
    assert solve(layer(4, 172), name, Unstructured(sparsity=0.5)).dense_columns == 0


@updates
def test_a_short_last_group_is_still_updated(layer, name):
    problem = layer(4, 44)
    solution = solve(problem, name, SemiStructured(n=4, m=8))
    assert (solution.weight[:, 40:] != problem.weight[:, 40:]).all()


@pytest.mark.parametrize(("block_size", "m", "bounds"), [
    (10, 4, [0, 8, 16, 24, 30]), (3, 4, [0, 4, 8, 12, 16, 20, 24, 28, 30]), (128, 4, [0, 30]), (15, 5, [0, 15, 30]),
])
@updates
def test_blocks_never_cut_a_group(layer, name, block_size, m, bounds):
    seen, _ = drained(layer(3, 30), name, SemiStructured(n=1, m=m), block_size=block_size)
    assert [columns for columns, *_ in seen] == list(itertools.pairwise(bounds))


@every_method
@pytest.mark.parametrize(("level", "expected"), [
    (SemiStructured(n=1, m=2), [[1, 0, 1, 0]] * 3), (Structured(sparsity=0.5), [[1, 1, 0, 0]] * 3),
])
def test_ties_break_by_row_and_column(name, level, expected):
    problem = given_layer(torch.ones(3, 4), torch.eye(4))
    assert solve(problem, name, level, **undamped(name)).pruned.int().tolist() == expected


@every_method
def test_layer_wide_ties_break_by_row_then_column(name):
    """Seven of twelve equal entries; row-wise methods take ⌊7/3⌋ = 2 from each row."""
    problem = given_layer(torch.ones(3, 4), torch.eye(4))
    pruned = solve(problem, name, Unstructured(sparsity=0.6), **undamped(name)).pruned.int().tolist()
    per_row = granularity(make_method(name)) == "row"
    assert pruned == ([[1, 1, 0, 0]] * 3 if per_row else [[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]])


# Dead inputs.


@every_way
@pytest.mark.parametrize("pattern", [Unstructured(sparsity=1 / 4), Structured(sparsity=1 / 4), SemiStructured(n=1, m=4)], ids=kind)
def test_dead_inputs_go_first_and_cost_nothing(layer, way, pattern):
    """One dead input in each group of four is just what each of these patterns asks for."""
    problem = layer(5, 16, dead=(1, 4, 10, 15))
    dead = torch.zeros(16, dtype=torch.bool)
    dead[[1, 4, 10, 15]] = True
    if way.name == "sparsegpt" and way.block_size % 16 and pattern.kind != "semi-structured":
        pytest.skip("SparseGPT spends a block's share in the block, dead inputs or not")
    solution = way(problem, pattern)
    assert torch.equal(solution.pruned, dead.expand(5, 16))
    assert torch.equal(solution.weight[:, ~dead], problem.weight[:, ~dead])
    assert solution.relative_error == 0


@pytest.mark.parametrize("damping", [0.0, 0.01])
@pytest.mark.parametrize("pattern", ["0.5", "2:4", "columns"])
@updates
def test_dead_inputs_do_not_count_in_the_losses(layer, name, pattern, damping):
    problem = layer(**LAYERS["dead inputs"])
    dead = list(LAYERS["dead inputs"]["dead"])
    weight, gram = arrays_of(problem)
    seen, solution = drained(problem, name, PATTERNS[pattern], block_size=8, damping=damping)
    change = solution.weight.numpy() - weight
    change[:, dead] = 0
    assert seen[-1][3] == pytest.approx(oracles.error(change, np.zeros_like(change), oracles.damped(gram, damping)))


@every_way
def test_a_kept_dead_input_keeps_its_weights(layer, way):
    problem = layer(**LAYERS["dead inputs"])
    dead = list(LAYERS["dead inputs"]["dead"])
    solution = way(problem, Unstructured(sparsity=0.05))
    kept = ~solution.pruned[:, dead]
    assert kept.any()
    assert torch.equal(solution.weight[:, dead][kept], problem.weight[:, dead][kept])


@every_method
@every_pattern
def test_a_layer_of_dead_inputs_is_pruned_without_error(name, pattern):
    problem = given_layer(torch.ones(4, 12), torch.zeros(12, 12))
    solution = solve(problem, name, pattern)
    assert solution.relative_error == 0
    assert torch.equal(solution.weight, torch.ones(4, 12).masked_fill(solution.pruned, 0))


# Outlier rows.


@every_method
@pytest.mark.parametrize("rows_alpha_dense", [
    (10, 0.1, 1), (10, 0.11, 2), (7, 0.5, 4), (10, 0.0, 0), (1, 0.1, 1), (2, 0.9, 2), (5, 0.99, 5),
])
@pytest.mark.parametrize("pattern", [Unstructured(sparsity=0.005), SemiStructured(n=2, m=4), Structured(sparsity=0.005)], ids=kind)
def test_the_rows_of_most_energy_stay_dense(layer, name, pattern, rows_alpha_dense):
    rows, alpha, dense = rows_alpha_dense
    problem = layer(rows, 12)
    solution = solve(problem, name, pattern.model_copy(update={"outlier_rows": alpha}))
    energy = oracles.energies(*arrays_of(problem))
    assert solution.dense_rows.tolist() == sorted(np.argsort(-energy)[:dense].tolist())
    assert torch.equal(solution.weight[solution.dense_rows], problem.weight[solution.dense_rows])
    if dense == rows:
        assert torch.equal(solution.weight, problem.weight)


@every_method
def test_rows_of_equal_energy_stay_dense_in_their_order(name):
    problem = given_layer(torch.ones(6, 4), torch.eye(4))
    assert solve(problem, name, Unstructured(sparsity=0.5, outlier_rows=0.5)).dense_rows.tolist() == [0, 1, 2]


@every_method
def test_alpha_is_paid_for_as_its_budget_says(layer, name):
    problem = layer(20, 40)
    paper = solve(problem, name, Unstructured(sparsity=0.5, outlier_rows=0.1))
    iso = solve(problem, name, Unstructured(sparsity=0.5, outlier_rows=0.1, alpha_budget="iso"))
    assert paper.counted_sparsity == pytest.approx(0.45)
    assert iso.counted_sparsity == pytest.approx(0.5, abs=1 / 40)
    assert iso.pruned[iso.dense_rows].sum() == 0
    assert solve(problem, name, Structured(sparsity=0.27, outlier_rows=0.1)).counted_sparsity == pytest.approx(0.27)


@every_way
def test_active_rows_are_pruned_as_if_they_were_alone(layer, way):
    problem = layer(10, 24)
    solution = way(problem, Unstructured(sparsity=0.5, outlier_rows=0.2))
    active = torch.tensor([i for i in range(10) if i not in solution.dense_rows.tolist()])
    alone = changed(problem, weight=problem.weight[active])
    assert torch.equal(way(alone, Unstructured(sparsity=0.5)).weight, solution.weight[active])


# What one method says about another.


@every_way
@pytest.mark.parametrize("pattern", ["0.5", "0.7 a", "2:4", "1:3 a", "4:4"])
def test_with_uncorrelated_equal_inputs_every_method_is_magnitude(layer, way, pattern):
    if way.name == "sparsegpt" and way.block_size < 32 and PATTERNS[pattern].kind == "unstructured":
        pytest.skip("SparseGPT spends its budget block by block")
    if way.name == "admm-grad" and not way.parameters:
        pytest.skip("see undamped()")
    weight = layer(8, 32).weight
    problem = given_layer(weight, 3.0 * torch.eye(32, dtype=torch.float64))
    solution = way(problem, PATTERNS[pattern])
    simple = solve(problem, "magnitude", PATTERNS[pattern], granularity=way.granularity)
    assert torch.equal(solution.pruned, simple.pruned)
    torch.testing.assert_close(solution.weight, simple.weight, rtol=1e-13, atol=0)


@every_way
@some_patterns
@pytest.mark.parametrize("scale", [2.0**-20, 3.7])
def test_the_scale_of_the_inputs_changes_nothing(layer, way, pattern, scale):
    problem = layer(8, 24, dead=(2,))
    solution = way(problem, pattern)
    scaled = way(changed(problem, gram=problem.gram * scale, mean=problem.mean * math.sqrt(scale)), pattern)
    assert torch.equal(scaled.pruned, solution.pruned)
    torch.testing.assert_close(scaled.weight, solution.weight, rtol=1e-9, atol=1e-11)
    assert scaled.relative_error == pytest.approx(solution.relative_error, rel=1e-9)


@every_way
@some_patterns
def test_permuting_rows_permutes_the_result(layer, way, pattern):
    problem = layer(9, 24)
    order = torch.tensor([4, 2, 8, 0, 7, 1, 3, 6, 5])
    solution = way(problem, pattern)
    moved = way(changed(problem, weight=problem.weight[order]), pattern)
    assert torch.equal(moved.pruned, solution.pruned[order])
    torch.testing.assert_close(moved.weight, solution.weight[order], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", ["16x32", "dead inputs", "rank-deficient"])
@pytest.mark.parametrize("sparsity", [0.3, 0.8])
def test_thanos_with_blocks_of_one_is_the_sweep_of_sparsegpt(layer, shape, sparsity):
    problem = layer(**LAYERS[shape])
    solution = solve(problem, "thanos", Unstructured(sparsity=sparsity), block_size=1)
    swept, _ = oracles.sweep(*arrays_of(problem), solution.pruned.numpy(), 0.01)
    np.testing.assert_allclose(solution.weight.numpy(), swept, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("block_size", [1, 5, 8, 32])
def test_thanos_with_blocks_of_one_equals_sparsegpt_on_the_same_mask(layer, block_size):
    """Half of every column is a thousand times smaller than the rest: both methods choose it, whatever the block."""
    random, small = layer(8, 32), torch.tensor(np.indices((8, 32)).sum(0) % 2 == 0)
    weight = torch.where(small, 1e-3, 1.0) * (random.weight.sign() + 0.1 * random.weight)
    problem = LayerProblem(weight=weight, gram=random.gram, tokens=9)
    one = solve(problem, "thanos", Unstructured(sparsity=0.5), block_size=1)
    other = solve(problem, "sparsegpt", Unstructured(sparsity=0.5), block_size=block_size)
    assert torch.equal(one.pruned, small)
    assert torch.equal(other.pruned, small)
    torch.testing.assert_close(one.weight - problem.weight, other.weight - problem.weight, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("block_size", [1, 7, 16, 128])
@pytest.mark.parametrize("pattern", ["0.5", "0.9", "5:8", "columns"])
def test_sparsegpt_is_the_sweep_whatever_its_block(layer, pattern, block_size):
    problem = layer(**LAYERS["16x32"])
    solution = solve(problem, "sparsegpt", PATTERNS[pattern], block_size=block_size)
    swept, _ = oracles.sweep(*arrays_of(problem), solution.pruned.numpy(), 0.01)
    np.testing.assert_allclose(solution.weight.numpy(), swept, rtol=1e-7, atol=1e-9)


@every_pattern
@pytest.mark.parametrize("damping", [0.01, 0.5])
def test_thanos_with_one_block_is_the_damped_optimum(layer, pattern, damping):
    problem = layer(**LAYERS["16x32"])
    weight, gram = arrays_of(problem)
    solution = solve(problem, "thanos", pattern, block_size=32, damping=damping)
    best = oracles.best_weights(weight, oracles.damped(gram, damping), solution.pruned.numpy())
    np.testing.assert_allclose(solution.weight.numpy(), best, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("block_size", [1, 7, 128])
@every_pattern
@updates
def test_the_losses_of_the_steps_add_up_to_the_damped_error(layer, name, pattern, block_size):
    problem = layer(**LAYERS["16x32"])
    weight, gram = arrays_of(problem)
    seen, solution = drained(problem, name, pattern, block_size=block_size)
    losses = [loss for *_, loss in seen]
    expected = oracles.error(weight, solution.weight.numpy(), oracles.damped(gram, 0.01))
    assert losses[-1] == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert losses == sorted(losses)


def test_the_structured_update_is_the_general_row_update(layer):
    problem = layer(6, 40)
    weight, gram = arrays_of(problem)
    solution = solve(problem, "thanos", Structured(sparsity=0.4))
    inverse = np.linalg.inv(oracles.damped(gram, 0.01))
    gone = np.flatnonzero(solution.pruned[0].numpy())
    for i in range(6):
        row, _ = oracles.remove(weight[i], list(gone), inverse, [])
        np.testing.assert_allclose(solution.weight[i].numpy(), row, rtol=1e-9, atol=1e-11)


@every_pattern
def test_block_size_means_nothing_to_structured_thanos_and_to_one_block(layer, pattern):
    problem = layer(8, 24)
    one, other = (solve(problem, "thanos", pattern, block_size=size) for size in (24, 1000))
    assert torch.equal(one.weight, other.weight)
    if pattern.kind == "structured":
        assert torch.equal(solve(problem, "thanos", pattern, block_size=3).weight, one.weight)


@pytest.mark.parametrize("pattern", ["0.5", "2:4", "columns"])
def test_the_frontier_leaves_less_than_the_others(layer, pattern):
    """Not a law, but what it is for: on correlated inputs with unequal energies."""
    problem = layer(24, 64, tokens=400)
    errors = {name: solve(problem, name, PATTERNS[pattern]).relative_error for name in METHODS
              if name != "obc" and not refused(name, PATTERNS[pattern])}
    ours = errors.pop("frontier")
    assert ours < min(errors.values())


def test_a_fixed_mask_is_wandas(layer):
    problem = layer(6, 24)
    for within in ("layer", "row"):
        fixed, simple = (solve(problem, name, PATTERNS["0.5"], granularity=within) for name in ("admm1", "wanda"))
        assert torch.equal(fixed.pruned, simple.pruned)
        assert fixed.relative_error < simple.relative_error


@converging
@pytest.mark.parametrize("pattern", ["0.5", "2:4"])
def test_enough_iterations_reach_the_damped_optimum(layer, name, parameters, pattern):
    problem = layer(**LAYERS["16x32"])
    weight, gram = arrays_of(problem)
    solution = solve(problem, name, PATTERNS[pattern], **parameters)
    norm = np.sqrt(np.diag(gram)) if name.startswith("admm") else np.ones(32)
    system = oracles.damped(gram / np.outer(norm, norm), parameters["damping"])
    best = oracles.best_weights(weight * norm, system, solution.pruned.numpy()) / norm
    np.testing.assert_allclose(solution.weight.numpy(), best, rtol=1e-4, atol=1e-5)


def test_gradient_descent_never_climbs_and_adam_gets_further(layer):
    problem = layer(12, 32)
    descent = [solve(problem, "adaprune", PATTERNS["0.5"], optimizer="sgd", iterations=k).relative_error for k in (1, 2, 5, 20, 80)]
    assert descent == sorted(descent, reverse=True)
    assert descent[0] < solve(problem, "wanda", PATTERNS["0.5"]).relative_error
    assert solve(problem, "adaprune", PATTERNS["0.5"], iterations=80).relative_error < descent[-1]


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


def test_obc_is_the_best_next_removal(layer):
    """For one removal a row, and for one column, greedy is exact: every other choice costs more."""
    problem = layer(3, 9)
    weight, gram = arrays_of(problem)
    hessian = oracles.damped(gram, 0.01)
    for pattern, axis in ((Unstructured(sparsity=0.12), 0), (Structured(sparsity=0.1), None)):
        pruned = solve(problem, "obc", pattern, granularity="row").pruned.numpy()
        for i in range(3) if axis == 0 else [slice(None)]:
            costs = []
            for j in range(9):
                mask = np.zeros_like(pruned)
                mask[i, j] = True
                costs.append(oracles.least_error(weight, hessian, mask))
            assert pruned[i].reshape(-1, 9)[0].nonzero()[0].tolist() == [int(np.argmin(costs))]


def test_a_pattern_without_meaning_is_refused_everywhere(layer, monkeypatch):
    monkeypatch.setattr(METHODS["wanda"], "refuses", {"structured": "Its scores compare entries."})
    words = r"pattern: 'columns:0.3' .* for Wanda, 0.5 .* or 2:4 .* Its scores compare entries"
    with pytest.raises(BadInput, match=words):
        core.solve(layer(4, 12), "wanda", Structured(sparsity=0.3))
    with pytest.raises(ValidationError, match=words):
        RunSpec(method=make_method("wanda"), pattern=Structured(sparsity=0.3))
    spec, refused = read_words({"method": "wanda", "pattern": "columns:0.3", "alpha": "0.1"})
    assert (spec.pattern, [item.word for item in refused]) == (Unstructured(outlier_rows=0.1), ["pattern"])
    assert solve(layer(4, 12), "wanda", Unstructured(sparsity=0.5)).counted_sparsity == 0.5


# The optimum, and the refit that reaches it.


@every_way
@some_patterns
@pytest.mark.parametrize("shape", ["16x32", "dead inputs", "rank-deficient"])
def test_no_method_beats_the_optimum_and_the_refit_reaches_it(layer, shape, pattern, way):
    problem = layer(**LAYERS[shape])
    weight, gram = arrays_of(problem)
    plain = way(problem, pattern)
    refit = way(problem, pattern, refit=True)
    mask = plain.pruned.numpy()
    least = oracles.least_error(weight, gram, mask) / oracles.energies(weight, gram).sum()
    best = problem.relative(problem.error(optimum(problem, plain.pruned)))
    assert best == pytest.approx(least, rel=1e-3, abs=1e-7)
    assert plain.relative_error >= least * (1 - 1e-9) - 1e-9
    assert torch.equal(refit.pruned, plain.pruned)
    assert least * (1 - 1e-9) - 1e-9 <= refit.relative_error <= plain.relative_error * (1 + 1e-9)
    slack = 0.01 * plain.relative_error if shape == "rank-deficient" else 1e-9  # there the optimum may be 0
    assert refit.relative_error <= 1.01 * least + slack
    assert not refit.weight[refit.pruned].any()
    assert torch.equal(refit.weight[refit.dense_rows], problem.weight[refit.dense_rows])


# Arithmetic.


@every_way
@some_patterns
def test_float32_agrees_with_float64(layer, way, pattern):
    exact, single = layer(16, 48), layer(16, 48, dtype=torch.float32)
    wide, narrow = (way(problem, pattern) for problem in (exact, single))
    assert narrow.weight.dtype == torch.float32
    assert float((wide.pruned ^ narrow.pruned).double().mean()) <= 0.006
    assert narrow.relative_error == pytest.approx(wide.relative_error, rel=5e-3, abs=1e-9)
    if torch.equal(wide.pruned, narrow.pruned):
        torch.testing.assert_close(narrow.weight.double(), wide.weight, rtol=1e-3, atol=1e-3)


@every_way
@pytest.mark.parametrize("pattern", ["0.5", "0.7 a", "2:4", "columns"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_solved_in_float32_and_cast_once(layer, way, pattern, dtype):
    half = layer(12, 32, dtype=dtype)
    single = changed(half, weight=half.weight.float())
    found, expected = (way(problem, PATTERNS[pattern]) for problem in (half, single))
    assert found.weight.dtype == dtype
    assert torch.equal(found.pruned, expected.pruned)
    assert torch.equal(found.weight, expected.weight.to(dtype))
    assert found.relative_error == pytest.approx(single.relative(single.error(found.weight)), rel=1e-4)


@every_way
@some_patterns
@pytest.mark.parametrize(("dtype", "refit"), [(torch.float32, False), (torch.bfloat16, True)])
def test_inputs_stay_as_they_are_and_reruns_are_bit_identical(layer, way, pattern, dtype, refit):
    problem, fresh = (layer(7, 24, dtype=dtype, dead=(5,)) for _ in range(2))
    first = way(problem, pattern, refit=refit)
    again = way(problem, pattern, refit=refit)
    other = way(fresh, pattern, refit=refit)
    for solution in (again, other):
        assert torch.equal(solution.weight, first.weight)
        assert torch.equal(solution.pruned, first.pruned)
        assert solution.relative_error == first.relative_error
    clean = layer(7, 24, dtype=dtype, dead=(5,))
    assert torch.equal(problem.weight, clean.weight)
    assert torch.equal(problem.gram, clean.gram)
    assert first.weight.data_ptr() != problem.weight.data_ptr()


@every_way
@some_patterns
def test_a_transposed_weight_gives_the_same_result(layer, way, pattern):
    """GPT-2 keeps its weights as [in, out]."""
    problem = layer(8, 24)
    view = changed(problem, weight=problem.weight.T.contiguous().T)
    assert not view.weight.is_contiguous()
    found, expected = way(view, pattern), way(problem, pattern)
    assert torch.equal(found.pruned, expected.pruned)
    torch.testing.assert_close(found.weight, expected.weight, rtol=1e-12, atol=1e-13)


@every_method
def test_a_weight_that_asks_for_gradients_is_pruned_without_them(layer, name):
    problem = layer(4, 12)
    weight = torch.nn.Parameter(problem.weight.clone())
    solution = solve(changed(problem, weight=weight), name, Unstructured(sparsity=0.5), refit=True)
    assert not solution.weight.requires_grad
    assert torch.equal(solution.weight, solve(problem, name, Unstructured(sparsity=0.5), refit=True).weight)


# What a solution says, and what solve refuses.


@every_method
def test_a_solution_says_how_it_came_about(layer, name):
    solution = solve(layer(4, 12), name, Unstructured(sparsity=0.5))
    assert solution.damping == getattr(make_method(name), "damping", None)
    assert 0 <= solution.seconds < 60
    assert isinstance(solution.relative_error, float)
    assert math.isfinite(solution.relative_error)
    with pytest.raises(AttributeError):
        solution.weight = None


def test_the_automatic_block_is_128_and_for_groups_512(layer):
    problem = layer(2, 600)
    for pattern, bounds in ((Unstructured(sparsity=0.5), [128, 256, 384, 512, 600]), (SemiStructured(n=2, m=4), [512, 600])):
        assert [columns[1] for columns, *_ in drained(problem, "thanos", pattern)[0]] == bounds


def test_solve_takes_a_parameter_model_too(layer):
    problem = layer(4, 12)
    by_name = solve(problem, "thanos", Unstructured(sparsity=0.5), block_size=4)
    assert torch.equal(solve(problem, make_method("thanos", block_size=4), Unstructured(sparsity=0.5)).weight, by_name.weight)


@pytest.mark.parametrize(("name", "parameters"), [
    ("obs", {}), ("thanos", {"block_size": 0}), ("thanos", {"block": 8}), ("wanda", {"damping": 0.1}),
    ("sparsegpt", {"damping": -1.0}),
])
def test_solve_refuses_what_it_cannot_do(layer, name, parameters):
    with pytest.raises((BadInput, ValidationError)):
        core.solve(layer(4, 12), name, Unstructured(sparsity=0.5), **parameters)


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
        found = oracles.run(name, weight, gram, PATTERNS[pattern], block_size=block_size, damping=0.01)
        seen, pruned = np.cumsum([step.loss for step in found.steps]), found.pruned
        relative = oracles.relative_error(weight, found.weight, gram)
    else:
        problem = LayerProblem(weight=torch.tensor(weight), gram=torch.tensor(gram), tokens=96)
        trace, solution = drained(problem, name, PATTERNS[pattern], block_size=block_size)
        seen, pruned, relative = [loss for *_, loss in trace], solution.pruned.numpy(), solution.relative_error
    assert list(seen) == pytest.approx(losses, rel=1e-6)
    assert relative == pytest.approx(error, rel=1e-6)
    assert np.packbits(pruned[:2]).tobytes().hex() == words
