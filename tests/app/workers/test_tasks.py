"""A worker's task in the process that calls it: which attempt it computes, and which GPUs it counts."""

from __future__ import annotations

import pytest

from app.workers import lanes, process, tasks
from cache import RunRecord
from core.spec import RunSpec
from tests.cache.examples import key_of


@pytest.fixture
def store():
    process.own_store.cache_clear()
    yield process.open_store()
    process.own_store.cache_clear()


@pytest.mark.parametrize(("state", "submitted"), [("queued", 2.0), ("running", 2.0), ("cancelled", 1.0), ("failed", 1.0)])
def test_an_attempt_that_is_over_is_not_computed(store, monkeypatch, state, submitted):
    """It was canceled, or canceled and asked for again: the task of the first attempt leaves the record as it is."""
    monkeypatch.setattr(tasks, "_follow", lambda *_: pytest.fail("computed"))
    record = RunRecord(key=key_of("run"), spec=RunSpec(), state=state, submitted=submitted)
    store.put_record(record)
    tasks.run(record.key, 1.0)
    assert store.record(record.key) == record


@pytest.mark.parametrize(("chosen", "expected"), [
    ("", ()), ("-1", ()), ("none", ()), ("0", ("0",)), (" 1, 2 ", ("1", "2")), ("0,-1", ("0",)),
])
def test_gpus_are_those_that_the_environment_leaves(monkeypatch, chosen, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert lanes.visible_gpus() == expected
