"""Two runs' masks against each other: counted from kept weights, drawn, and said."""

import numpy as np
import pytest
import torch

from app.shared.charts.overlaps import overlap_chart
from app.shared.comparison import compare
from app.shared.findings.overlaps import overlap_finding, overlap_rows
from app.shared.questions.overlaps import OverlapsQuestion
from app.workers import sessions
from cache.store import Store
from core.records.overlaps import Overlaps
from core.run.journal import BlockState
from core.spec import RunSpec, make_method
from core.spec.errors import BadInput
from tests.app.examples import layers, result

A, B = "ab" * 32, "cd" * 32
SHAPE = (8, 12)


@pytest.fixture
def masks(prunescope_home):
    """Two kept runs of three blocks; the removed entries of each layer, as sets of places."""
    store, rng = Store(prunescope_home), np.random.default_rng(5)
    removed = {}
    for key in (A, B):
        for block in range(3):
            records = tuple(item for item in layers() if item.block == block)
            weights = {}
            for item in records:
                gone = rng.random(SHAPE) < rng.uniform(0.2, 0.8)
                weights[item.name] = torch.where(torch.tensor(gone), 0.0, torch.tensor(rng.normal(size=SHAPE))).float()
                removed[key, item.name] = {(int(row), int(column)) for row, column in zip(*gone.nonzero(), strict=True)}
            store.journal(key).write(block, BlockState(layers=records, weights=weights))
    return store, removed


def test_counts_are_those_of_the_sets(masks):
    store, removed = masks
    found = OverlapsQuestion(spec=RunSpec(), a=A, b=B).answer_from(store)
    assert list(found.layers) == [item.name for item in layers()]
    for name, item in found.layers.items():
        ours, theirs = removed[A, name], removed[B, name]
        assert (item.both, item.only_a, item.only_b) == (len(ours & theirs), len(ours - theirs), len(theirs - ours))
        assert item.neither == SHAPE[0] * SHAPE[1] - len(ours | theirs)
        assert item.jaccard == pytest.approx(len(ours & theirs) / len(ours | theirs))
        assert item.common == pytest.approx(len(ours & theirs) / len(ours))
    assert found.whole.both == sum(item.both for item in found.layers.values())


def test_the_same_run_agrees_with_itself(masks):
    found = OverlapsQuestion(spec=RunSpec(), a=A, b=A).answer_from(masks[0])
    assert all(item.jaccard == 1 and item.only_a == item.only_b == 0 for item in found.layers.values())
    run, again = compare([result(), result()])
    assert "exactly the same weights" in overlap_finding(run, again, found)


def test_no_model_is_opened_for_it(masks, monkeypatch):
    monkeypatch.setattr(sessions, "session_for", lambda spec: pytest.fail("a session was opened"))
    monkeypatch.setattr(sessions.process, "open_store", lambda: masks[0])
    assert isinstance(sessions.answer(OverlapsQuestion(spec=RunSpec(), a=A, b=B)), Overlaps)
    failure = sessions.answer(OverlapsQuestion(spec=RunSpec(), a=A, b="0" * 64))
    assert isinstance(failure, sessions.Failure)
    assert "pruned weights are kept" in failure.words


def test_a_run_whose_weights_are_gone_or_damaged_is_refused(masks):
    store, _ = masks
    next(store.journal(B).folder.glob("*00001.safetensors")).write_bytes(b"cut off")
    with pytest.raises(BadInput, match="cdcdcdcd"):
        OverlapsQuestion(spec=RunSpec(), a=A, b=B).answer_from(store)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_layer_is_drawn_with_its_chance(masks, theme):
    a, b = compare([result(), result(method=make_method("wanda"))])
    found = OverlapsQuestion(spec=RunSpec(), a=A, b=B).answer_from(masks[0])
    figure = overlap_chart(a, b, found, theme=theme)
    chance, seen = ([y for y in trace.y if y is not None] for trace in figure.data)
    assert sorted(seen) == sorted(item.jaccard for item in found.layers.values())
    assert sorted(chance) == sorted(item.jaccard_by_chance for item in found.layers.values())
    assert "Wanda removes" in overlap_finding(a, b, found)
    for row, item in zip(overlap_rows(a, b, found), found.layers.values(), strict=True):
        shares = [row[name] for name in ("removed by both", "only by Thanos", "only by Wanda", "kept by both")]
        assert sum(shares) == pytest.approx(1)
        assert row["Jaccard index"] == item.jaccard
