"""Claims: of two schedulers with one store one computes a job, whatever their clocks say."""

from __future__ import annotations

import time

import pytest

from cache import Store
from cache import claims as claims_module
from cache.claims import Claims
from cache.records import RunRecord, next_attempt
from core.spec import RunSpec


@pytest.fixture
def clock(monkeypatch):
    """The observer's own time, which a test moves."""
    moment = [100.0]
    monkeypatch.setattr(claims_module.time, "monotonic", lambda: moment[0])
    return moment


@pytest.fixture
def stores(tmp_path):
    found = [Store(tmp_path), Store(tmp_path)]
    yield found
    for store in found:
        store.close()


def test_of_two_schedulers_one_takes_a_job_and_its_successor_has_it(stores, clock):
    first, second = (Claims(store.rows, seat) for store, seat in zip(stores, ("tls://one", "tls://two"), strict=True))
    assert first.take("run-a")
    assert not second.take("run-a")
    assert second.take("run-b")
    assert not first.take("run-b")
    assert Claims(stores[1].rows, "tls://one").take("run-a")


def test_a_scheduler_is_dead_when_its_count_stands_still_not_when_a_clock_says_so(stores, clock, monkeypatch):
    first, second = (Claims(store.rows, seat) for store, seat in zip(stores, ("tls://one", "tls://two"), strict=True))
    first.beat()
    assert first.take("run-a")
    monkeypatch.setattr(time, "time", lambda: 4e9)  # a clock that was stepped forward by decades
    for _ in range(8):
        clock[0] += claims_module.LAPSE / 3
        first.beat()
        assert not second.take("run-a")
    for _ in range(2):
        clock[0] += claims_module.LAPSE / 3
        assert not second.take("run-a")
    clock[0] += claims_module.LAPSE
    assert second.take("run-a")
    assert not first.take("run-a")


def test_claims_on_jobs_that_have_ended_are_dropped(stores, clock):
    first, second = (Claims(store.rows, seat) for store, seat in zip(stores, ("tls://one", "tls://two"), strict=True))
    assert first.take("run-a")
    assert first.take("run-b")
    first.drop({"run-b"})
    assert second.take("run-a")
    assert not second.take("run-b")


def test_an_attempt_after_a_clock_was_set_back_is_another_attempt(monkeypatch):
    before = RunRecord(key="a" * 64, spec=RunSpec(), state="cancelled", submitted=2000.0)
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    assert round(next_attempt(before) * 1000) > round(before.submitted * 1000)
    monkeypatch.setattr(time, "time", lambda: 3000.0)
    assert next_attempt(before) == 3000.0
    assert next_attempt(None) == 3000.0
