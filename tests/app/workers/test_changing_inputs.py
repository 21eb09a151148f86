"""A model that is written after it was asked about: no answer, plan, record or Gram matrix is kept under the name of what it was."""

import time

import pytest
from safetensors.torch import load_file, save_file

from app.layers.questions import LayerQuestion
from app.workers import measuring, process, sessions, tasks
from cache import RunRecord, Store, run_key
from cache.keys import dense_key, grams_key, plan_key
from cache.measurements import Measuring
from core.evaluate import measured_model
from core.records import LayerPruned
from core.run import planning
from core.run.pipeline import prune
from core.run.revisions import revisions
from core.spec import Calibration, Evaluation, RunSpec, make_method
from tests.core.families import save_family

pytestmark = pytest.mark.faults


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    monkeypatch.setenv("PRUNESCOPE_TEXTS", str(tmp_path))  # another test of the process may have confined it
    monkeypatch.setattr(sessions, "_sessions", type(sessions._sessions)())
    return save_family("llama", tmp_path)


@pytest.fixture
def spec(folder):
    text = f"windows:{folder / 'windows.npy'}"
    return RunSpec(model="llama", method=make_method("wanda"), calibration=Calibration(source=text, windows=8),
                   evaluation=Evaluation(source=text))


@pytest.fixture
def store(tmp_path, monkeypatch):
    made = Store(tmp_path / "home")
    monkeypatch.setattr(process, "open_store", lambda: made)
    yield made
    made.close()


def change(folder):
    save_file({name: -2 * tensor for name, tensor in load_file(folder / "model.safetensors").items()},
              folder / "model.safetensors", {"format": "pt"})


def test_an_answer_is_of_the_model_that_was_asked_about(folder, spec, store):
    question, asked_of = LayerQuestion(spec=spec, layer="model.layers.0.mlp.up_proj"), revisions(spec)
    before = sessions.answer(question, asked_of)
    assert not isinstance(before, sessions.Failure)
    change(folder)
    refused = sessions.answer(question, asked_of)
    assert isinstance(refused, sessions.Failure)
    assert "model: 'llama' has changed" in refused.words
    assert not isinstance(sessions.answer(question, revisions(spec)), sessions.Failure)


def test_gram_matrices_are_kept_under_the_model_they_are_of(folder, spec, store, monkeypatch):
    from core.models import open_model as opening

    before, load = revisions(spec), opening.load_model
    monkeypatch.setattr(opening, "load_model", lambda *given, **named: (change(folder), load(*given, **named))[1])
    refused = sessions.answer(LayerQuestion(spec=spec, layer="model.layers.0.mlp.up_proj"), before)
    assert isinstance(refused, sessions.Failure)
    assert "has changed" in refused.words
    assert not list(store.home.glob("grams/*/*"))
    assert store.grams(grams_key(spec, before)).read(0) is None


def test_a_plan_is_of_the_model_it_was_asked_for(folder, spec, store, monkeypatch):
    before, make = revisions(spec), planning.plan
    monkeypatch.setattr(planning, "plan", lambda spec: (change(folder), make(spec))[1])
    assert "has changed" in tasks.plan(spec.model_dump_json())
    assert store.plan(plan_key(spec, before)) is None


@pytest.mark.parametrize("moment", ["before", "after"])
def test_size_and_speed_are_of_the_model_that_was_pruned(folder, spec, store, monkeypatch, moment):
    """It is exchanged when its weights are about to be read, or have been."""
    load = measured_model.load_model

    def exchanged(*given, **named):
        return (change(folder), load(*given, **named))[1] if moment == "before" else (load(*given, **named), change(folder))[0]

    monkeypatch.setattr(measuring, "open_store", lambda: store)
    monkeypatch.setattr(measured_model, "load_model", exchanged)
    key = run_key(spec, revisions(spec))
    store.measurements.requests.change(key, lambda before: Measuring(key=key, spec=spec, submitted=5.0))
    measuring.measure(key, 5.0)
    request = store.measurements.requests.read(key)
    assert request.state == "failed"
    assert "has changed" in request.error
    assert store.measurements.of_run(key) is None


def test_a_run_fails_and_continues_when_the_model_is_back(folder, spec, store, monkeypatch):
    """The model changes while block 1 is solved, comes back, and the same run is asked for again."""
    undisturbed = [event for event in prune(spec)][-1].result
    content, found = (folder / "model.safetensors").read_bytes(), revisions(spec)
    key, pending = run_key(spec, found), [change]

    def announce(event):
        if isinstance(event, LayerPruned) and event.layer.block == 1 and pending:
            pending.pop()(folder)

    monkeypatch.setattr(tasks, "_Announcer", lambda name: announce)

    def attempt() -> RunRecord:
        record = RunRecord(key=key, spec=spec, state="queued", submitted=time.time())
        store.put_record(record)
        tasks.run(key, record.submitted)
        return store.record(key)

    failed = attempt()
    assert failed.state == "failed"
    assert "model: 'llama' has changed" in failed.error
    assert store.result(key) is None
    assert store.dense(dense_key(spec, found)) is None
    assert store.journal(key).blocks == 1
    assert "has changed since this was asked for" in attempt().error
    (folder / "model.safetensors").write_bytes(content)
    assert attempt().state == "finished"
    result = store.result(key)
    assert (result.resumed_blocks, result.pruned, result.dense) == (1, undisturbed.pruned, undisturbed.dense)
    assert result.revisions == found
