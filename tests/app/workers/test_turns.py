"""Two stores, one scheduler: a run is one store's at a time, its result is the other's too, and nobody waits for ever."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.workers import queue, turns
from app.workers.turns import Turns
from cache import RunRecord, Store, run_key
from core.records import RunResult

RESULT = RunResult.model_validate_json((Path(turns.__file__).parents[1] / "gallery" / "wanda-0.5.json").read_text())
KEY = run_key(RESULT.spec, RESULT.revisions)


class Scheduler:
    """A scheduler with tasks, as the functions see it, and the client of one store."""

    status = "running"

    def __init__(self) -> None:
        self.tasks: dict[str, Any] = {}
        self.foreign = False

    def _run_on_scheduler(self) -> None: ...

    def sync(self, _: Any, function: Any, *arguments: Any, callback_timeout: float) -> Any:
        if self.foreign:
            raise ModuleNotFoundError("app")
        return function(*arguments, dask_scheduler=self)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two stores in which the same run waits, with their turns and jobs; and their scheduler."""
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", "tls://there:1")
    monkeypatch.setattr(turns, "_board", {})
    scheduler, found = Scheduler(), []
    for number in range(2):
        store = Store(tmp_path / str(number))
        store.put_record(RunRecord(key=KEY, spec=RESULT.spec, state="queued", submitted=5.0 + number))
        found.append(SimpleNamespace(store=store, turns=Turns(store, cast("Any", scheduler)), job=queue.jobs(store)[0]))
    yield SimpleNamespace(one=found[0], other=found[1], scheduler=scheduler)
    for side in found:
        side.store.close()


def take(side: Any) -> bool:
    return side.turns.take(side.job)


def compute(place: Any, side: Any) -> None:
    place.scheduler.tasks[side.job.name] = SimpleNamespace(state="processing")


def test_the_second_store_waits_and_takes_the_result(place):
    assert take(place.one)
    assert not take(place.other)
    compute(place, place.one)
    assert take(place.one)  # a second keeper of the same store
    assert not place.one.turns.awaits(place.one.job, ())
    assert place.other.turns.awaits(place.other.job, ())
    assert Turns(place.other.store, place.scheduler).awaits(place.other.job, [place.one.job.name])
    assert not take(place.other)
    place.one.store.put_result(KEY, RESULT)
    del place.scheduler.tasks[place.one.job.name]
    place.one.turns.ended(place.one.job)
    assert not take(place.other)
    record = place.other.store.record(KEY)
    assert (record.state, record.submitted, record.pruned_perplexity) == ("finished", 6.0, RESULT.pruned.perplexity)
    assert place.other.store.result(KEY) == RESULT
    assert not place.other.turns.awaits(place.other.job, ())


def test_what_ends_without_a_result_is_the_others(place):
    assert take(place.one)
    assert not take(place.other)
    place.one.turns.ended(place.one.job)  # cancelled, or failed
    assert take(place.other)
    assert not take(place.one)


def test_what_nobody_waits_for_is_forgotten(place):
    assert take(place.one)
    place.one.store.put_result(KEY, RESULT)
    place.one.turns.ended(place.one.job)
    assert turns._board == {}


def test_a_keeper_that_is_gone_is_not_waited_for(place, monkeypatch):
    monkeypatch.setattr(turns, "_GRACE", 0.2)
    assert take(place.one)
    compute(place, place.one)
    time.sleep(0.25)
    assert not take(place.other)  # its task is there
    del place.scheduler.tasks[place.one.job.name]
    assert not take(place.other)  # its result may come
    time.sleep(0.25)
    assert take(place.other)


def test_a_result_of_another_run_is_not_taken(place):
    assert take(place.one)
    assert not take(place.other)
    other = RESULT.model_copy(update={"spec": RESULT.spec.model_copy(update={"model": "x"})})
    turns.offer(KEY, place.one.job.name, other.model_dump_json())
    assert not take(place.other)
    assert place.other.store.record(KEY).state == "queued"


def test_a_scheduler_without_this_code_and_a_home_of_ones_own_share_nothing(place, monkeypatch):
    place.scheduler.foreign = True
    assert take(place.one)
    assert take(place.other)
    monkeypatch.delenv("PRUNESCOPE_SCHEDULER")
    own = Turns(place.one.store, cast("Any", None))
    assert own.take(place.one.job)
    own.ended(place.one.job)
