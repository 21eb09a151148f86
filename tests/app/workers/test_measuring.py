"""Size and speed of a run, measured here as a worker does."""

from __future__ import annotations

import pytest

from app.workers import measuring
from app.workers.jobs import Jobs
from cache import Store
from core.spec import Calibration, Evaluation, Magnitude, RunSpec

SPEC = RunSpec(model="stories260K", method=Magnitude(), device="cpu", calibration=Calibration(windows=2, length=64),
               evaluation=Evaluation(windows=1, length=64))


@pytest.fixture
def store(stories260k, monkeypatch, tmp_path):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(stories260k.parent))
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", "tcp://127.0.0.1:1")
    opened = Store(tmp_path / "home")
    monkeypatch.setattr(measuring, "open_store", lambda: opened)
    yield opened
    opened.close()


def test_a_run_is_measured_and_goes_with_its_measurement(store):
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
