"""Scores and scorings in the store."""

import pytest

from cache import Store
from cache.keys import task_key
from cache.scores import Scoring, task_label
from core.records import Revisions
from core.records.tasks import Score, TaskScores
from core.spec import RunSpec

KEY = "a" * 64
REVISIONS = Revisions(model="m", calibration="c", evaluation="e", method=1, core=1)
SCORES = TaskScores(examples=2, available=4, shots=0, chance=0.5, truncated=0, version="1", content="c",
                    scores={"acc": Score(value=0.5, stderr=0.5)}, outcomes={"acc": "10"})


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path)
    yield opened
    opened.close()


def test_scores_of_a_run_are_kept_by_label_and_go_with_it(store):
    store.scores.add(KEY, task_label("a", None), SCORES)
    store.scores.add(KEY, task_label("a", 2), SCORES.model_copy(update={"dense": SCORES}))
    assert store.scores.of_run(KEY) == {"a": SCORES, "a (first 2)": SCORES.model_copy(update={"dense": SCORES})}
    assert store.scores.runs() == (KEY,)
    store.delete(KEY)
    assert store.scores.of_run(KEY) == {}


def test_scorings_that_wait_are_listed_the_oldest_first(store):
    for place, key in enumerate((KEY, "b" * 64, "c" * 64)):
        record = Scoring(key=key, spec=RunSpec(), tasks=("a",), submitted=10.0 - place)
        store.scores.requests.change(key, lambda before, record=record: record)
    store.scores.requests.change("b" * 64, lambda record: record.ended("cancelled"))
    assert [record.key for record in store.scores.requests.active()] == ["c" * 64, KEY]
    assert store.scores.requests.change(KEY, lambda record: None) == store.scores.requests.read(KEY)


def test_keys_follow_what_scores_depend_on():
    dense = task_key(RunSpec(), REVISIONS, "content", None)
    assert task_key(RunSpec(method={"name": "wanda"}), REVISIONS, "content", None) == dense  # the dense model is the same
    others = [task_key(RunSpec(), REVISIONS, "other", None), task_key(RunSpec(device="cpu"), REVISIONS, "content", None),
              task_key(RunSpec(), REVISIONS.model_copy(update={"model": "n"}), "content", None),
              task_key(RunSpec(), REVISIONS, "content", KEY)]
    assert len({dense, *others}) == 5
