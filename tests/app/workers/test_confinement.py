"""No door of the app reads a file outside the folders of texts and models: runs, plans, questions, links and planted records."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from app.shared.questions.preview import PreviewQuestion
from app.workers import process, sessions, tasks
from app.workers.answers import Answers
from app.workers.connection import Connection
from app.workers.jobs import Jobs
from cache import RunRecord
from cache.store import Store
from core.spec import Calibration, Evaluation, RunSpec
from core.spec.errors import BadInput
from tests.cache.examples import key_of

pytestmark = pytest.mark.faults
WORDS = "PRUNESCOPE_TEXTS"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text("a secret of the machine, long enough for windows. " * 2000)
    return path


@pytest.fixture(params=["calibration", "evaluation", "link"])
def spec(request: pytest.FixtureRequest, secret: Path, prunescope_home: Path) -> RunSpec:
    """A run that asks for the secret, by its path or by a link in the folder of texts."""
    if request.param == "link":
        (prunescope_home / "texts").mkdir()
        (prunescope_home / "texts" / "harmless.txt").symlink_to(secret)
        return RunSpec(calibration=Calibration(source="text:harmless.txt"))
    if request.param == "calibration":
        return RunSpec(calibration=Calibration(source=f"text:{secret}"))
    return RunSpec(evaluation=Evaluation(source=f"text:{secret}"))


@pytest.fixture
def store(prunescope_home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", "tcp://127.0.0.1:1")
    process.own_store.cache_clear()
    opened = Store(prunescope_home)
    yield opened
    opened.close()
    process.own_store.cache_clear()


def test_a_submitted_run_is_refused_before_anything_is_read(store: Store, spec: RunSpec) -> None:
    jobs = Jobs(store)
    with pytest.raises(BadInput, match=WORDS):
        jobs.submit(spec)
    assert WORDS in str(jobs.plan(spec).error)
    assert store.count(("queued", "running", "finished")) == 0


def test_a_planted_record_fails_on_the_worker(store: Store, spec: RunSpec) -> None:
    record = RunRecord(key=key_of("planted"), spec=spec, state="queued", submitted=time.time())
    store.put_record(record)
    tasks.run(record.key, record.submitted)
    ended = store.record(record.key)
    assert ended is not None
    assert ended.state == "failed"
    assert WORDS in str(ended.error)
    assert WORDS in str(tasks.plan(spec.model_dump_json()))


def test_a_question_is_refused_where_it_is_asked_and_where_it_is_answered(store: Store, spec: RunSpec) -> None:
    question = PreviewQuestion(spec=spec)
    asked = Answers(Connection(store.home, lambda _: None)).ask(question, place="here")
    assert asked.state == "failed"
    assert WORDS in str(asked.error)
    answer = sessions.answer(question)
    assert isinstance(answer, sessions.Failure)
    assert WORDS in answer.words
