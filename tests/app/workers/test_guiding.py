"""Input-guided skipping of a run's blocks, evaluated here as a worker does."""

from __future__ import annotations

import pytest

from app.workers import guiding
from app.workers.jobs import Jobs
from core.run.input_guided import input_guided
from core.spec import make_method, parse_pattern
from core.spec.errors import BadInput
from core.spec.guide import Guide
from core.structures import clusters
from tests.app.workers.requests_here import SPEC, store_here

BLOCKS = SPEC.model_validate({**dict(SPEC), "method": make_method("influence"), "pattern": parse_pattern("blocks:2")})


@pytest.fixture
def store(stories260k, monkeypatch, tmp_path):
    with store_here(stories260k, monkeypatch, tmp_path) as opened:
        yield opened


def test_an_evaluation_is_kept_by_its_clusters_and_goes_with_its_run(store):
    jobs, guide = Jobs(store), Guide(clusters=2)
    key = jobs.guiding.submit(BLOCKS, guide)
    guiding.guide(key, store.guided.requests.read(key).submitted)
    done, found = store.guided.requests.read(key), store.guided.of_run(key, guide)
    assert (done.state, done.error) == ("finished", None)
    alone = input_guided(BLOCKS, guide)
    assert (found.points, found.dense) == (alone.points, alone.dense)
    assert store.guided.of_run(key, Guide(clusters=1)) is None
    store.delete(key)
    assert store.guided.of_run(key, guide) is None
    assert store.guided.requests.read(key) is None


def test_a_cancelled_evaluation_ends_and_keeps_nothing(store, monkeypatch):
    jobs = Jobs(store)
    key = jobs.guiding.submit(BLOCKS, Guide(clusters=2))
    monkeypatch.setattr("app.workers.requests._TELL_SECONDS", 0.0)
    monkeypatch.setattr("core.run.input_guided.k_means", lambda *given: (jobs.guiding.cancel(key), clusters.k_means(*given))[1])
    guiding.guide(key, store.guided.requests.read(key).submitted)
    assert store.guided.requests.read(key).state == "cancelled"
    assert store.guided.of_run(key, Guide(clusters=2)) is None


def test_what_cannot_be_evaluated_is_refused_before_it_is_queued(store):
    jobs = Jobs(store)
    with pytest.raises(BadInput, match="blocks:1 or more"):
        jobs.guiding.submit(SPEC, Guide())
    with pytest.raises(BadInput, match="1 to 2, the number of calibration windows"):
        jobs.guiding.submit(BLOCKS, Guide(clusters=3))
