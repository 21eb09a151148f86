"""Counts are exact on any layer, ties break by row and column, blocks cut no group, and a sparsity of 0 or 1 is what it says."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import core
from core import BadInput, SemiStructured, Structured, Unstructured
from core.spec import METHODS, make_method
from tests import oracles
from tests.core.methods.cases import (
    LAYERS,
    PATTERNS,
    SPLITTING,
    arrays_of,
    combinations,
    drained,
    every_method,
    every_way,
    given_layer,
    granularity,
    has,
    refused,
    solve,
    undamped,
    with_blocks,
)


@combinations("way, pattern", list(PATTERNS), patterns=True)
def test_zeros_and_dense_rows_are_counted_exactly(layer, way, pattern):
    problem = layer(**LAYERS["16x32"], dtype=torch.bfloat16)
    solution = way(problem, PATTERNS[pattern])
    asked = oracles.ask(*arrays_of(problem), PATTERNS[pattern])
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
    parameters = {"block_size": block_size} if has(name, "block_size") else {}
    if refused(name, pattern) or (isinstance(pattern, SemiStructured) and pattern.m > columns):
        with pytest.raises(BadInput, match="pattern" if refused(name, pattern) else "m:"):
            core.solve(problem, name, pattern, **parameters)
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


DTYPES = {"float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}


@combinations("way, pattern, dtype", ("0.5", "columns", "0:4"), list(DTYPES))
def test_sparsity_zero_is_the_identity(layer, way, pattern, dtype):
    problem = layer(6, 17, dtype=DTYPES[dtype], dead=(3,))
    nothing = PATTERNS[pattern] if pattern == "0:4" else PATTERNS[pattern].model_copy(update={"sparsity": 0.0})
    assert torch.equal(way(problem, nothing, refit=True).weight, problem.weight)
    solution = way(problem, nothing)
    assert torch.equal(solution.weight, problem.weight)
    assert not solution.pruned.any()
    assert solution.relative_error == solution.counted_sparsity == 0


@every_way
def test_everything_pruned_leaves_nothing(layer, way):
    problem = layer(5, 16)
    solution = way(problem, SemiStructured(n=8, m=8))
    assert solution.pruned.all()
    assert not solution.weight.any()
    assert solution.relative_error == pytest.approx(1.0)


@every_method
def test_a_short_last_group_is_left_dense_and_counted(layer, name):
    solution = solve(layer(4, 172), name, SemiStructured(n=4, m=8), **({"block_size": 128} if has(name, "block_size") else {}))
    assert solution.dense_columns == 4
    assert not solution.pruned[:, 168:].any()
    assert int(solution.pruned.sum()) == 4 * 21 * 4
    assert solution.counted_sparsity == 84 / 172
    assert solve(layer(4, 172), name, Unstructured(sparsity=0.5)).dense_columns == 0


@with_blocks
def test_a_short_last_group_is_still_updated(layer, name):
    problem = layer(4, 44)
    solution = solve(problem, name, SemiStructured(n=4, m=8))
    assert (solution.weight[:, 40:] != problem.weight[:, 40:]).all()


@pytest.mark.parametrize(("block_size", "m", "bounds"), [
    (10, 4, [0, 8, 16, 24, 30]), (3, 4, [0, 4, 8, 12, 16, 20, 24, 28, 30]), (128, 4, [0, 30]), (15, 5, [0, 15, 30]),
])
@with_blocks
def test_blocks_never_cut_a_group(layer, name, block_size, m, bounds):
    seen, _ = drained(layer(3, 30), name, SemiStructured(n=1, m=m), block_size=block_size)
    assert [columns for columns, *_ in seen] == list(itertools.pairwise(bounds))


def test_the_automatic_block_is_128_and_for_groups_512(layer):
    problem = layer(2, 600)
    for pattern, bounds in ((Unstructured(sparsity=0.5), [128, 256, 384, 512, 600]), (SemiStructured(n=2, m=4), [512, 600])):
        assert [columns[1] for columns, *_ in drained(problem, "thanos", pattern)[0]] == bounds


@every_method
def test_ties_break_by_row_and_column(name):
    """Of equal entries the first of each group, the first columns, and seven of twelve; row-wise methods take ⌊7/3⌋ = 2 from each row."""
    problem = given_layer(torch.ones(3, 4), torch.eye(4))
    per_row = granularity(make_method(name)) == "row"
    for pattern, expected in (
        (SemiStructured(n=1, m=2), [[1, 0, 1, 0]] * 3), (Structured(sparsity=0.5), [[1, 1, 0, 0]] * 3),
        (Unstructured(sparsity=0.6), [[1, 1, 0, 0]] * 3 if per_row else [[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]]),
    ):
        if pattern.kind in METHODS[name].refuses:
            continue
        pruned = solve(problem, name, pattern, **undamped(name)).pruned.int()
        if name in SPLITTING:  # any of equal entries: as many, of each group as many, whole columns
            assert pruned.sum() == torch.tensor(expected).sum()
            assert pattern.kind != "semi-structured" or (pruned.view(3, 2, 2).sum(2) == 1).all()
            assert pattern.kind != "structured" or (pruned == pruned[:1]).all()
        else:
            assert pruned.tolist() == expected
