"""Exact counts and stable ties, against masks chosen by sorting (score, row, column) in Python."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.layer import masks
from core.linalg import order_statistics as selection
from core.spec.patterns import Columns, Entries, Groups
from tests import oracles
from tests.pairwise import pairwise, parametrize

few = st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0])  # many ties
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))
tables = st.one_of(
    sizes.flatmap(lambda size: arrays(np.float64, size, elements=few)),
    sizes.flatmap(lambda size: arrays(np.float64, size, elements=st.floats(0, 1e6, width=32))),
)
quick = settings(max_examples=60)


def same(mask: torch.Tensor, expected: np.ndarray) -> bool:
    assert mask.dtype == torch.bool
    return np.array_equal(mask.numpy(), expected)


@quick
@given(scores=tables, data=st.data())
def test_smallest_takes_exactly_the_smallest(scores, data):
    count = data.draw(st.integers(0, scores.size))
    mask = masks.smallest(torch.tensor(scores), count)
    assert int(mask.sum()) == count
    assert same(mask, oracles.smallest(scores, count))


@quick
@given(scores=tables, data=st.data())
def test_smallest_per_row_takes_the_same_from_every_row(scores, data):
    count = data.draw(st.integers(0, scores.shape[1]))
    mask = masks.smallest_per_row(torch.tensor(scores), count)
    assert (mask.sum(1) == count).all()
    assert same(mask, oracles.smallest_per_row(scores, count))


@quick
@given(scores=tables, data=st.data())
def test_groups_take_n_of_every_m_and_leave_the_short_one(scores, data):
    columns = scores.shape[1]
    m = data.draw(st.integers(1, columns))
    n = data.draw(st.integers(0, m))
    mask = masks.smallest_in_groups(torch.tensor(scores), n, m)
    whole = columns // m * m
    assert (mask[:, :whole].reshape(len(scores), -1, m).sum(2) == n).all()
    assert not mask[:, whole:].any()
    assert same(mask, oracles.smallest_in_groups(scores, n, m))


@quick
@given(losses=arrays(np.float64, st.integers(1, 40), elements=few), data=st.data())
def test_columns_of_least_loss_go_first(losses, data):
    count = data.draw(st.integers(0, len(losses)))
    assert same(masks.smallest_columns(torch.tensor(losses), count), oracles.smallest_columns(losses, count))


@quick
@given(scores=tables, data=st.data())
def test_more_budget_never_spares_an_entry(scores, data):
    small = data.draw(st.integers(0, scores.size))
    large = data.draw(st.integers(small, scores.size))
    table = torch.tensor(scores)
    assert not (masks.smallest(table, small) & ~masks.smallest(table, large)).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ties_break_by_row_then_column(dtype):
    level = torch.ones(3, 4, dtype=dtype)
    assert masks.smallest(level, 5).tolist() == [[True] * 4, [True] + [False] * 3, [False] * 4]
    assert masks.smallest_per_row(level, 2).tolist() == [[True, True, False, False]] * 3
    assert masks.smallest_in_groups(level, 1, 2).tolist() == [[True, False, True, False]] * 3
    assert masks.smallest_columns(level[0], 3).tolist() == [True, True, True, False]
    mixed = torch.tensor([[2.0, 1.0, 1.0], [1.0, 0.0, 2.0]], dtype=dtype)
    assert masks.smallest(mixed, 3).tolist() == [[False, True, True], [False, True, False]]


@pytest.mark.parametrize("count", [0, 1, 11, 12])
def test_counts_at_the_ends(count):
    scores = torch.arange(12.0).flip(0).view(3, 4)
    assert int(masks.smallest(scores, count).sum()) == count


def test_scores_are_not_changed_whatever_their_memory_layout():
    scores = torch.rand(7, 9, generator=torch.Generator().manual_seed(0)).T
    before = scores.clone()
    for mask in (masks.smallest(scores, 20), masks.smallest_per_row(scores, 3), masks.smallest_in_groups(scores, 2, 3)):
        assert mask.shape == scores.shape
    assert same(masks.smallest(scores, 20), oracles.smallest(before.numpy(), 20))
    assert same(masks.smallest_in_groups(scores[:, 1:], 2, 3), oracles.smallest_in_groups(before.numpy()[:, 1:], 2, 3))
    assert torch.equal(scores, before)


@pytest.mark.parametrize("granularity", ["layer", "row"])
@pytest.mark.parametrize(("target", "entries"), [
    (Entries(count=17), {"layer": 17, "row": 15}), (Groups(n=1, m=3), 10), (Columns(count=2), 10),
])
def test_select_follows_the_target(granularity, target, entries):
    scores = np.random.default_rng(0).random((5, 7))
    mask = masks.select(torch.tensor(scores), target, granularity=granularity)
    assert int(mask.sum()) == (entries[granularity] if isinstance(entries, dict) else entries)
    asked = oracles.Ask([], list(range(5)), getattr(target, "count", None) if isinstance(target, Entries) else None,
                        (target.n, target.m) if isinstance(target, Groups) else None,
                        target.count if isinstance(target, Columns) else None)
    assert same(mask, oracles.select(scores, asked, per_row=granularity == "row"))


@given(count=st.integers(0, 10_000), columns=st.integers(1, 40), block=st.integers(1, 45))
def test_the_blocks_shares_add_up_to_the_budget(count, columns, block):
    stops = [min(start + block, columns) for start in range(0, columns, block)]
    taken = [masks.share(Entries(count=count), stop, columns) for stop in stops]
    assert taken == [count * stop // columns for stop in stops]
    assert taken[-1] == count


@parametrize("columns, levels, dtype, few", pairwise([(0, 1), (0, 9), (3, 4), (8, 1)], [1, 2, 5, 10_000], [torch.float32, torch.float64],
                                                      [0, selection._FEW]))
def test_head_of_the_smallest_is_the_head(columns, levels, dtype, few, monkeypatch):
    start, width = columns
    """With ties at the threshold (few levels) and without; with a dead input; by the compiled passes and without."""
    monkeypatch.setattr(selection, "_FEW", few)
    generator = torch.Generator().manual_seed(levels)
    weight = torch.randint(-levels, levels, (6, 9), generator=generator).to(dtype)
    norm, dead = torch.rand(9, generator=generator).to(dtype), torch.arange(9) == 4
    norm[4] = 0
    scores = (weight[:, start:] * norm[start:]).abs() - dead[start:].to(dtype)
    for count in range(scores.numel() + 1):
        expected = textbook(scores, count)[:, :width]
        assert torch.equal(masks.smallest_norms(weight, norm, dead, torch.tensor(count), start, start + width), expected)
        assert torch.equal(masks.smallest(scores, count)[:, :width], expected)


def textbook(scores: torch.Tensor, count: int) -> torch.Tensor:
    """A stable sort of (score, row, column)."""
    chosen = torch.zeros(scores.numel(), dtype=torch.bool)
    chosen[scores.flatten().sort(stable=True).indices[:count]] = True
    return chosen.view_as(scores)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_many_scores_of_all_sizes(dtype):
    """Above what is partitioned as it is: subnormal and infinite ones, zeros, equal ones, −1."""
    generator = torch.Generator().manual_seed(1)
    scores = (torch.randn(331, 307, generator=generator, dtype=torch.float64) * 40).exp().to(dtype)
    scores[::7, ::3], scores[::5, ::5], scores[2::9, 1] = 0, 1.5, -1
    for count in (1, 40, 5_000, 50_000, 50_001, 90_000, scores.numel() - 1, scores.numel()):
        assert torch.equal(masks.smallest(scores, count), textbook(scores, count))
