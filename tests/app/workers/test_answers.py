"""Questions to the interactive worker, on real workers with the demo model."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.layers.questions import LayerQuestion
from app.shared.questions.preview import LayersQuestion, PreviewQuestion
from app.workers import cluster
from app.workers.answers import Answers
from app.workers.jobs import Jobs
from cache import Store
from core.records.previews import Preview
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern

SMALL = RunSpec(calibration=Calibration(windows=16, length=64), evaluation=Evaluation(windows=2, length=64), method=make_method("wanda"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRUNESCOPE_THREADS", "1")
        yield folder
        cluster.stop_cluster(folder)


@pytest.fixture(autouse=True)
def prunescope_home(home, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_HOME", str(home))
    return home


@pytest.fixture(scope="module")
def answers(home):
    jobs = Jobs(Store(home))
    yield jobs.answers
    jobs.close()


def answered(answers, question, place="here"):
    deadline = time.monotonic() + 300
    while (asked := answers.ask(question, place=place)).state == "computing":
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return asked


def test_a_question_is_answered_and_the_answer_kept(answers, home):
    question = PreviewQuestion(spec=SMALL)
    assert answers.ask(question, place="here").state == "computing"
    asked = answered(answers, question)
    assert isinstance(asked.answer, Preview)
    assert len(asked.answer.layers) == 42
    assert answers.ask(question, place="there").answer is asked.answer
    assert len(list(home.glob("grams/*/block-*.json"))) == 6


def test_the_newest_question_of_a_place_counts(answers):
    specs = [SMALL.model_copy(update={"pattern": parse_pattern(f"0.{tenths}")}) for tenths in (1, 2, 3, 4)]
    for spec in specs:
        answers.ask(PreviewQuestion(spec=spec), place="slider")
    last = answered(answers, PreviewQuestion(spec=specs[-1]), place="slider").answer
    assert last.counted_sparsity == pytest.approx(0.4, abs=5e-3)
    assert answered(answers, PreviewQuestion(spec=specs[0]), place="slider").answer.counted_sparsity == pytest.approx(0.1, abs=3e-3)


@pytest.mark.long
def test_what_nobody_waits_for_any_more_ends(answers, home):
    log = home / "logs" / "interactive-0.log"
    before = log.read_text().count("given up: PreviewQuestion") if log.exists() else 0  # its worker may begin with this test
    begun(answers, PreviewQuestion(spec=SMALL.model_copy(update={"method": make_method("adaprune", iterations=10_000)})))
    quick = answered(answers, PreviewQuestion(spec=SMALL.model_copy(update={"pattern": parse_pattern("0.15")})), place="wheel")
    assert quick.answer.counted_sparsity == pytest.approx(0.15, abs=5e-3)
    assert log.read_text().count("given up: PreviewQuestion") == before + 1
    slow = PreviewQuestion(spec=SMALL.model_copy(update={"method": make_method("adaprune", iterations=9_999)}))
    begun(answers, slow)
    answers.ask(slow, place="elsewhere")
    answers.give_up("wheel")
    assert answers.ask(slow, place="elsewhere").state == "computing", "another place still waits for it"
    assert log.read_text().count("given up: PreviewQuestion") == before + 1
    answers.give_up("elsewhere")
    assert answered(answers, PreviewQuestion(spec=SMALL.model_copy(update={"pattern": parse_pattern("0.25")}))).state == "ready"
    assert log.read_text().count("given up: PreviewQuestion") == before + 2


def test_a_quick_question_does_not_wait_for_a_slow_one(answers):
    slow = PreviewQuestion(spec=SMALL.model_copy(update={"method": make_method("adaprune", iterations=9_998)}))
    begun(answers, slow)
    layer, spec = "model.layers.1.mlp.up_proj", SMALL.model_copy(update={"method": make_method("thanos")})
    quick = answered(answers, LayerQuestion(spec=spec, layer=layer), place="layer").answer
    assert answers.ask(slow, place="wheel").state == "computing"
    answers.give_up("wheel")
    alone = answered(answers, PreviewQuestion(spec=spec)).answer
    assert quick.relative_error == pytest.approx(next(item.relative_error for item in alone.layers if item.name == layer), rel=1e-4)


@pytest.mark.long
def test_a_layer_whose_outputs_are_weighed_is_answered_after_what_lets_the_model_compute(answers):
    layer, spec = "model.layers.1.mlp.up_proj", SMALL.model_copy(update={"method": make_method("thanos"), "fisher": 0.5})
    question = LayerQuestion(spec=spec, layer=layer)
    assert not question.quick
    assert LayerQuestion(spec=SMALL, layer=layer).quick
    found = answered(answers, question, place="layer").answer
    whole = answered(answers, PreviewQuestion(spec=spec)).answer
    assert found.relative_error == pytest.approx(next(item.relative_error for item in whole.layers if item.name == layer), rel=1e-4)


def begun(answers, question):
    """Asked at the wheel, until the worker is at it: as a page asks, again while nothing is connected yet."""
    deadline = time.monotonic() + 240
    while not (answers.ask(question, place="wheel") and (client := answers._connection.client())
               and any(task == "executing" for states in client.run(_states).values() for task in states)):
        assert time.monotonic() < deadline, "it was never begun"
        time.sleep(0.05)


def _states(dask_worker):
    return [task.state for task in dask_worker.state.tasks.values()]


def test_why_there_is_no_answer_is_said(answers):
    gone = answers.ask(LayersQuestion(spec=RunSpec(model="nowhere/at-all")), place="here")
    assert gone.state == "failed"
    assert "nowhere/at-all" in gone.error
    few = Calibration(windows=4, length=32)  # fewer tokens than inputs
    singular = SMALL.model_copy(update={"method": make_method("thanos", damping=0), "calibration": few})
    failed = answered(answers, PreviewQuestion(spec=singular))
    assert failed.state == "failed"
    assert "damping" in failed.error


def test_who_asks_before_there_is_a_connection_waits_for_it(monkeypatch):
    class Connecting:
        error = None

        def client(self):
            return None

    waits = []
    monkeypatch.setattr("app.workers.answers.time.sleep", waits.append)
    assert Answers(Connecting()).ask(LayersQuestion(spec=SMALL), place="here", wait=0.05).state == "computing"
    assert waits == [0.05]


def test_lost_workers_are_told_from_a_question_without_an_answer(answers):
    class Lost:
        error = "nobody is there"

        def client(self):
            return None

    asked = Answers(Lost()).ask(LayersQuestion(spec=SMALL), place="here")
    assert (asked.state, asked.error, asked.lost) == ("failed", "nobody is there", True)
    assert not answered(answers, LayerQuestion(spec=SMALL, layer="none")).lost


@pytest.mark.long
def test_many_who_hardly_wait_all_get_their_answer(answers):
    """A fetch that was given up too early once left the client unable to fetch anything more."""
    specs = [SMALL.model_copy(update={"calibration": Calibration(windows=16, length=64, seed=seed)}) for seed in (0, 0, 0, 1)]
    kinds = (LayersQuestion, PreviewQuestion)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda at: answered(answers, kinds[at % 2](spec=specs[at // 2]), place=f"tab {at}"), range(8)))
    assert [asked.state for asked in found] == ["ready"] * 8
    assert answered(answers, PreviewQuestion(spec=SMALL.model_copy(update={"pattern": parse_pattern("0.2")}))).state == "ready"
