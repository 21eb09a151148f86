"""One home, and so one cluster, for each file of tests here."""

from __future__ import annotations

import pytest

from app.workers import cluster
from app.workers.jobs import Jobs
from cache import Store
from tests.app.workers.jobs.support import (
    save_small_model,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder, models = tmp_path_factory.mktemp("jobs-home"), tmp_path_factory.mktemp("models")
    save_small_model(models / "small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRUNESCOPE_MODELS", str(models))
        patch.setenv("PRUNESCOPE_THREADS", "1")
        yield folder
        cluster.stop_cluster(folder)


@pytest.fixture(autouse=True)
def prunescope_home(home, monkeypatch):
    """One home, and so one cluster, for all tests here."""
    monkeypatch.setenv("PRUNESCOPE_HOME", str(home))
    return home


@pytest.fixture(scope="module")
def shared(home):
    jobs = Jobs(Store(home))
    yield jobs
    jobs.close()


@pytest.fixture
def jobs(shared):
    yield shared
    for record in shared.store.runs(states=("queued", "running")):
        shared.delete(record.key)
