"""One home, and so one cluster, for all files of tests here: tests/conftest.py gives them to one process."""

from __future__ import annotations

import pytest

from app.workers import cluster
from app.workers.jobs import Jobs
from cache import Store
from tests.app.workers.jobs.support import (
    save_small_model,
)


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs-home")
    yield folder
    cluster.stop_cluster(folder)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    save_small_model(folder / "small")
    return folder


@pytest.fixture(scope="module", autouse=True)
def _environment(models):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRUNESCOPE_MODELS", str(models))
        patch.setenv("PRUNESCOPE_THREADS", "1")
        yield


@pytest.fixture(autouse=True)
def prunescope_home(home, monkeypatch):
    """One home, and so one cluster, for all tests here."""
    monkeypatch.setenv("PRUNESCOPE_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def shared(home):
    jobs = Jobs(Store(home))
    yield jobs
    jobs.close()


@pytest.fixture
def jobs(shared):
    yield shared
    for record in shared.store.runs(states=("queued", "running")):
        shared.delete(record.key)
