"""Size and speed of a run, measured here as a worker does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.workers import measuring
from app.workers.jobs import Jobs
from tests.app.workers.requests_here import SPEC, store_here


@pytest.fixture
def store(stories260k, monkeypatch, tmp_path):
    with store_here(stories260k, monkeypatch, tmp_path) as opened:
        yield opened


def test_a_run_is_measured_and_goes_with_its_measurement(store, monkeypatch):
    monkeypatch.setattr("core.evaluate.size_and_speed.fitting", lambda usual, context: replace(usual, prompt=16, tokens=4))
    key = Jobs(store).measuring.submit(SPEC)
    measuring.measure(key, store.measurements.requests.read(key).submitted)
    done, found = store.measurements.requests.read(key), store.measurements.of_run(key)
    assert (done.state, done.error) == ("finished", None)
    assert found.size.zeros == pytest.approx(found.size.weights / 2, rel=0.01)
    assert [point.batch for point in found.speed.points] == [1, 4, 16]
    assert all(set(point.decode) == {"dense", "pruned"} for point in found.speed.points)
    store.delete(key)
    assert store.measurements.of_run(key) is None


def test_a_failure_is_in_words(store, monkeypatch):
    key = Jobs(store).measuring.submit(SPEC)
    monkeypatch.setattr("core.evaluate.size_and_speed.size_and_speed", lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
    measuring.measure(key, store.measurements.requests.read(key).submitted)
    done = store.measurements.requests.read(key)
    assert done.state == "failed"
    assert "memory" in done.error


def test_a_request_whose_text_has_changed_is_refused(store, monkeypatch):
    key = Jobs(store).measuring.submit(SPEC)
    monkeypatch.setattr("app.workers.inputs.run_key", lambda spec, found: "another")
    measuring.measure(key, store.measurements.requests.read(key).submitted)
    done = store.measurements.requests.read(key)
    assert (done.state, done.error) == ("failed", "The model or a text has changed since this was asked for. Ask for it again.")
