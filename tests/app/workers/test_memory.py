"""A device worker with little memory: runs that do not fit are told so beforehand, those that fit are computed."""

from __future__ import annotations

import pytest

from app.workers import cluster, lanes
from app.workers.jobs import Jobs
from cache import Store
from core.spec import Calibration
from core.spec.errors import BadInput
from tests.app.workers.jobs.support import ended, finished, quick, save_small_model
from tests.app.workers.processes import wait_for

LIMIT = 1_000_000_000  # bytes


@pytest.fixture
def jobs(own_home, tmp_path, monkeypatch):
    from dask.system import CPU_COUNT  # noqa: F401  before the limit is read
    from distributed.system import MEMORY_LIMIT

    save_small_model(tmp_path / "models" / "small")
    for name, value in (("PRUNESCOPE_MODELS", str(tmp_path / "models")), ("PRUNESCOPE_HOME", str(own_home)), ("PRUNESCOPE_COLD", "1")):
        monkeypatch.setenv(name, value)
    usual = lanes.lanes()
    low = tuple(lane if lane.resources != ("device",) else lanes.Lane(name=lane.name, resources=lane.resources, gpu="",
                                                                     memory=LIMIT / MEMORY_LIMIT) for lane in usual)
    monkeypatch.setattr(cluster, "lanes", lambda: low)
    made = Jobs(Store(own_home))
    yield made
    made.close()


@pytest.mark.long
@pytest.mark.faults
def test_what_does_not_fit_is_refused_with_what_would_and_the_next_is_computed(jobs):
    large = quick(1, calibration=Calibration(windows=20_000, length=64, seed=1))
    key, small = jobs.submit(large), jobs.submit(quick(2))  # no plan yet: the worker looks
    record = ended(jobs, key)
    assert record.state == "failed"
    assert "memory: 'about 1." in record.error
    assert "Allowed: up to 0.9" in record.error or "Allowed: up to 1.0" in record.error
    assert "calibration windows in place of 20000 it fits" in record.error
    finished(jobs, small)

    planning = wait_for(lambda: (found := jobs.plan(large)).state == "failed" and found)  # now it is known beforehand
    assert planning.refused
    assert planning.error == record.error
    with pytest.raises(BadInput, match="memory"):
        jobs.submit(large)
    assert jobs.store.record(key) == record
