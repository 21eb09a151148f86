"""Expected starts, against a simulation that is written out, and in words."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.runs.queue_line import words
from app.shared.run_progress import wait_words
from app.workers.queue import Job
from app.workers.run_queue import RunQueue
from app.workers.waiting import Wait, look, summary, waits
from cache import Store
from core.spec import RunSpec, make_method
from tests.cache.examples import key_of, record_of


def job(name: str, seconds: float | None, state: str = "queued", started: float | None = None, **more: object) -> Job:
    return Job(kind="run", key=name, submitted=0.0, state=state, estimated=seconds, started=started, **more)


def starts(jobs: list[Job], **options: object) -> dict[str, float | None]:
    found = waits(jobs, **{"workers": 1, "now": 100.0, **options})
    return {waiting.key: found[waiting.name].seconds for waiting in jobs if waiting.name in found}


def test_one_worker_takes_one_after_the_other():
    assert starts([job("r", 60.0, "running", 80.0), job("a", 10.0), job("b", 5.0), job("c", 1.0)]) == {"a": 40.0, "b": 50.0, "c": 55.0}


def test_two_workers_share():
    jobs = [job("r", 60.0, "running", 80.0), job("a", 10.0), job("b", 5.0), job("c", 100.0), job("d", 1.0)]
    assert starts(jobs, workers=2) == {"a": 0.0, "b": 10.0, "c": 15.0, "d": 40.0}


def test_what_runs_says_itself_what_is_left_and_one_that_is_late_is_not_done():
    late = [job("r", 50.0, "running", 0.0), job("a", 10.0)]
    assert starts(late) == {"a": 5.0}
    assert starts(late, left={late[0].name: 30.0}) == {"a": 30.0}


def test_what_cannot_be_estimated_makes_no_number_up():
    jobs = [job("a", 10.0), job("b", None), job("c", 5.0)]
    assert starts(jobs) == {"a": 0.0, "b": 10.0, "c": None}
    assert starts(jobs, workers=2) == {"a": 0.0, "b": 0.0, "c": 10.0}
    assert starts(jobs, usual=lambda job: 7.0) == {"a": 0.0, "b": 10.0, "c": 17.0}
    assert starts(jobs, queue_paused=True) == {"a": None, "b": None, "c": None}


def test_without_a_worker_nothing_is_said_to_begin(tmp_path):
    jobs = [job("a", 10.0), job("b", 5.0)]
    assert starts(jobs, workers=0) == {"a": None, "b": None}
    assert wait_words(waits(jobs, workers=0, now=0.0)[jobs[1].name]) == "Waiting, number 2 in the queue; it begins when there is a worker"
    store = Store(tmp_path)
    store.put_record(record_of(1, state="queued", estimated=10.0))
    for reason, begins in ((None, 0.0), ("No worker that computes runs is connected.", None)):
        connection = SimpleNamespace(workers=lambda: 1, no_worker=lambda reason=reason: reason, client=lambda: None)
        (wait,) = RunQueue(store, connection).waits().values()
        assert wait.seconds == begins


def test_paused_runs_take_no_place():
    jobs = [job("a", 10.0), job("b", 5.0), job("p", 99.0, paused=True)]
    found = waits(jobs, workers=1, now=0.0)
    assert [(found[one.name].position, found[one.name].seconds) for one in jobs] == [(1, 0.0), (2, 10.0), (None, None)]


def test_the_usual_time_is_that_of_the_same_model_and_method(tmp_path):
    store = Store(tmp_path)
    for index, seconds in enumerate((10.0, 30.0, 20.0)):
        store.put_record(record_of(f"done-{index}", state="finished", seconds=seconds))
    for index in range(2):
        store.put_record(record_of(f"waits-{index}", submitted=float(index)))
    store.put_record(record_of("another-method", submitted=5.0, spec=RunSpec(method=make_method("magnitude"))))
    store.put_record(record_of("another-model", submitted=6.0, spec=RunSpec(model="other")))
    store.put_record(record_of("last", submitted=7.0))
    found = {wait.position: wait.seconds for wait in look(store, workers=1, now=0.0).values()}
    assert found == {1: 0.0, 2: 20.0, 3: 40.0, 4: 60.0, 5: None}
    told = summary(store, workers=1, now=0.0)
    assert (told["running"], told["waiting"], told["paused_since"]) == (0, 5, None)
    assert [(entry["key"], entry["position"], entry["starts_in_seconds"]) for entry in told["jobs"]][:2] == [
        (key_of("waits-0"), 1, 0.0), (key_of("waits-1"), 2, 20.0)]
    store.close()


@pytest.mark.parametrize(("wait", "said"), [
    (None, "Waiting for a worker"), (Wait(position=3, seconds=240.0), "number 3 in the queue, begins in about 4 min"),
    (Wait(position=1, seconds=0.0), "number 1 in the queue, begins as soon as a worker is free"),
    (Wait(position=2), "no estimate"), (Wait(position=None, paused=True), "Paused"),
    (Wait(position=2, queue_paused=True), "which is paused"),
])
def test_words_of_a_run_that_waits(wait, said):
    assert said in wait_words(wait)


def test_words_of_the_queue():
    queue = (Wait(position=1, seconds=5.0), Wait(position=2, seconds=45.0), Wait(position=None, paused=True))
    assert words(queue, 1, None, 0.0) == "1 being computed, 2 waiting, 1 paused. The last begins in about 45 s."
    assert words((), 1, None, 0.0) == "1 being computed, 0 waiting."
    assert "nothing begins until it is resumed" in words(queue, 0, 0.0, 60.0)
