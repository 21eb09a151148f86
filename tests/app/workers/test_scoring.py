"""A scoring, computed here as a worker does: what is kept, what is not computed twice, how it ends."""

import time

import pytest

from app.workers import requests, scoring
from cache import Store, run_key
from cache.scores import Scoring
from core.evaluate import zero_shot
from core.run.revisions import revisions
from core.spec import RunSpec
from tests.app.workers.requests_here import SPEC, store_here
from tests.core.evaluate.task_files import ROWS, write_task


@pytest.fixture
def store(stories260k, monkeypatch, tmp_path):
    monkeypatch.setenv("PRUNESCOPE_TASKS", str(tmp_path / "tasks"))
    with store_here(stories260k, monkeypatch, tmp_path) as opened:
        write_task(tmp_path / "tasks", "story", ROWS)
        write_task(tmp_path / "tasks", "other", ROWS[:2])
        yield opened


@pytest.fixture
def scored(monkeypatch):
    """Names of the tasks that a model was really scored on."""
    heard = []
    original = zero_shot.ZeroShot.score

    def score(self, task, report=lambda share: None):
        heard.append(task.name)
        return original(self, task, report)

    monkeypatch.setattr(zero_shot.ZeroShot, "score", score)
    return heard


def ask(store: Store, *names: str, spec: RunSpec = SPEC) -> Scoring:
    record = Scoring(key=run_key(spec, revisions(spec)), spec=spec, tasks=names, submitted=time.time())
    store.scores.requests.change(record.key, lambda before: record)
    scoring.score(record.key, record.submitted)
    found = store.scores.requests.read(record.key)
    assert found is not None
    return found


def test_scores_are_paired_and_nothing_is_computed_twice(store, scored):
    done = ask(store, "story")
    assert (done.state, done.error) == ("finished", None)
    assert scored == ["story", "story"]  # dense, then pruned
    story = store.scores.of_run(done.key)["story"]
    assert story.dense is not None
    assert story.difference("acc") is not None
    assert ask(store, "story", "other").state == "finished"
    assert scored == ["story", "story", "other", "other"]
    other = SPEC.model_copy(update={"method": SPEC.method, "pattern": type(SPEC.pattern)(sparsity=0.7)})
    assert ask(store, "story", spec=other).state == "finished"
    assert scored[4:] == ["story"]  # the dense model's scores are known
    kept = store.scores.of_run(run_key(other, revisions(other)))["story"]
    assert kept.dense == story.dense


def test_scores_are_of_the_model_that_was_pruned(store, monkeypatch):
    """Of another one, exchanged since, none are kept."""
    wanted, load = [], zero_shot.load_measured

    def loaded(spec, device, expected):
        wanted.append(expected)
        return load(spec, device, "another model's address")

    monkeypatch.setattr(zero_shot, "load_measured", loaded)
    failed = ask(store, "story")
    assert wanted == [revisions(SPEC).model]
    assert (failed.state, "has changed" in failed.error) == ("failed", True)
    assert store.scores.of_run(failed.key) == {}


def test_what_fails_says_why_and_keeps_what_was_finished(store):
    assert ask(store, "story").state == "finished"
    failed = ask(store, "storys")
    assert failed.state == "failed"
    assert "perhaps story" in (failed.error or "")
    assert "story" in store.scores.of_run(failed.key)


def test_a_cancelled_scoring_stops_and_one_of_an_older_attempt_is_not_begun(store, scored, monkeypatch):
    looks = []
    original = requests.Watch.wanted

    def cancel_at_the_second(self):
        looks.append(None)
        if len(looks) == 2:
            self.requests.change(self.key, lambda record: record.ended("cancelled"))
            self.looked = float("-inf")
        return original(self)

    monkeypatch.setattr(requests.Watch, "wanted", cancel_at_the_second)
    done = ask(store, "story", "other")
    assert done.state == "cancelled"
    assert store.scores.of_run(done.key) == {}
    scored.clear()
    scoring.score(done.key, done.submitted)
    assert scored == []
