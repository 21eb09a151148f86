"""Gram matrices of a model that does not fit, collected here as a worker does; then a session that reads its layers."""

from __future__ import annotations

import pytest

from app.layers.questions import LayerQuestion
from app.shared.questions.preview import HeldQuestion, PreviewQuestion
from app.workers import collecting, sessions
from app.workers.jobs import Jobs
from core.linalg.cancellation import check_cancelled
from tests.app.workers.requests_here import SPEC, store_here

LAYER = "model.layers.1.mlp.up_proj"


@pytest.fixture
def store(stories260k, monkeypatch, tmp_path):
    with store_here(stories260k, monkeypatch, tmp_path) as opened:
        monkeypatch.setattr("app.workers.process.open_store", lambda: opened)
        monkeypatch.setattr(sessions, "_sessions", type(sessions._sessions)())
        yield opened


def asked(jobs: Jobs) -> str:
    key = jobs.collecting.submit(SPEC, 1)
    collecting.collect(key, jobs.collecting.requests.read(key).submitted)
    return key


def test_layers_of_a_model_that_does_not_fit_are_answered_once_its_grams_are_there(store, monkeypatch):
    expected = sessions.answer(LayerQuestion(spec=SPEC, layer=LAYER))
    sessions._sessions.clear()
    monkeypatch.setattr("core.run.planning.session_bytes", lambda spec: 1 << 60)
    held = sessions.answer(HeldQuestion(spec=SPEC))
    assert (held.whole, held.blocks) == (False, 5)
    assert 0 < held.seconds < 1e4
    jobs = Jobs(store)
    store_now = jobs.collecting.kept(SPEC)
    before = sessions.answer(LayerQuestion(spec=SPEC, layer=LAYER))  # the whole model's, kept without row energies
    done = jobs.collecting.requests.read(asked(jobs))
    assert (done.state, done.error) == ("finished", None)
    assert store_now.blocks == held.blocks
    for told in (before, sessions.answer(LayerQuestion(spec=SPEC, layer=LAYER))):
        assert told.model_dump(exclude={"seconds"}) == expected.model_dump(exclude={"seconds"})
    assert "fits into memory whole" in sessions.answer(PreviewQuestion(spec=SPEC)).words
    kept = sum(file.stat().st_size for file in store.home.glob("grams/*/*.safetensors"))
    assert kept <= 1.1 * held.gram_bytes


def test_collecting_is_cancelled_and_goes_on_behind_what_is_there(store, monkeypatch):
    jobs, blocks = Jobs(store), []

    def cancelling(opened, files):
        for block in collect_missing(opened, files):
            blocks.append(block)
            jobs.collecting.cancel(jobs.collecting.key(SPEC))
            monkeypatch.setattr("app.workers.requests._TELL_SECONDS", -1.0)
            check_cancelled()
            yield block

    from core.models.grams import collect_missing

    with monkeypatch.context() as patch:
        patch.setattr("core.models.grams.collect_missing", cancelling)
        key = asked(jobs)
    assert (jobs.collecting.requests.read(key).state, blocks) == ("cancelled", [0])
    assert jobs.collecting.kept(SPEC).blocks == 1
    assert jobs.collecting.requests.read(asked(jobs)).state == "finished"
