"""Order of the queue: turns between groups, what runs counts, moves by hand, pauses, limits, and nothing is lost."""

from __future__ import annotations

import random

import pytest

from app.workers import limits, queue
from app.workers.jobs import Jobs
from app.workers.queue import Job, in_turns
from cache import Store
from cache.measurements import Measuring
from core.spec import RunSpec
from core.spec.errors import BadInput
from tests.cache.examples import key_of, record_of


def job(name: str, submitted: float, group: str = "", state: str = "queued") -> Job:
    return Job(kind="run", key=name, submitted=submitted, state=state, group=group)


def order(*jobs: Job) -> list[str]:
    return [found.key for found in in_turns(random.Random(0).sample(jobs, len(jobs)))]


def test_a_single_run_waits_for_one_of_a_sweep_and_not_for_all():
    sweep = [job(f"sweep-{index:02}", float(index), "sweep") for index in range(60)]
    single = job("single", 100.0, "somebody")
    assert order(*sweep, single)[:3] == ["sweep-00", "single", "sweep-01"]
    running = job("sweep-00", 0.0, "sweep", "running")
    assert order(running, *sweep[1:], single)[:3] == ["sweep-00", "single", "sweep-01"]
    assert len(order(*sweep, single)) == 61


def test_of_one_group_the_oldest_is_first():
    assert order(job("b", 2.0), job("c", 3.0), job("a", 1.0)) == ["a", "b", "c"]


def test_three_sessions_take_turns():
    found = order(*[job(f"{name}{index}", 10.0 * index + place, name) for place, name in enumerate("xyz") for index in range(3)])
    assert found == ["x0", "y0", "z0", "x1", "y1", "z1", "x2", "y2", "z2"]


def test_groups_come_from_the_store(tmp_path):
    store = Store(tmp_path)
    for index in range(3):
        store.put_record(record_of(f"sweep-{index}", submitted=float(index), group="sweep"))
    store.put_record(record_of("single", submitted=9.0, group="somebody"))
    store.put_record(record_of("done", submitted=0.5, state="finished"))
    keys = {record_of(name).key: name for name in ("sweep-0", "sweep-1", "sweep-2", "single")}
    assert [keys[found.key] for found in queue.jobs(store)] == ["sweep-0", "single", "sweep-1", "sweep-2"]
    store.close()


@pytest.fixture
def store(tmp_path):
    """Two sessions' runs: the queue is a0 b0 a1 b1 a2."""
    opened = Store(tmp_path)
    for name, submitted in (("a0", 0.0), ("a1", 1.0), ("a2", 2.0), ("b0", 3.0), ("b1", 4.0)):
        opened.put_record(record_of(name, submitted=submitted, group=name[0]))
    yield opened
    opened.close()


def names(store: Store, of=queue.jobs) -> list[str]:
    known = {key_of(name): name for name in ("a0", "a1", "a2", "b0", "b1", "c0")}
    return [known[found.key] for found in of(store)]


@pytest.mark.parametrize(("name", "where", "expected"), [
    ("a1", "up", "a0 a1 b0 b1 a2"), ("a1", "down", "a0 b0 b1 a1 a2"), ("a2", "first", "a2 a0 b0 a1 b1"),
    ("a0", "up", "a0 b0 a1 b1 a2"), ("a0", "first", "a0 b0 a1 b1 a2"), ("a2", "down", "a0 b0 a1 b1 a2"),
    ("b1", "first", "b1 a0 b0 a1 a2"), ("gone", "up", "a0 b0 a1 b1 a2"),
])
def test_a_run_is_moved_and_all_others_keep_their_order(store, name, where, expected):
    assert " ".join(names(store)) == "a0 b0 a1 b1 a2"
    queue.move(store, key_of(name), where)
    assert " ".join(names(store)) == expected


def test_any_moves_are_those_of_a_list(store):
    """Against the plain list, with 60 random moves; and what comes later still has its fair turn."""
    chance, expected = random.Random(1), names(store)
    for _ in range(60):
        name, where = chance.choice(expected), chance.choice(["first", "up", "down"])
        place = expected.index(name)
        expected.remove(name)
        expected.insert({"first": 0, "up": max(0, place - 1), "down": place + 1}[where], name)
        queue.move(store, key_of(name), where)
        assert names(store) == expected
    store.put_record(record_of("c0", submitted=99.0, group="c"))
    assert names(store).index("c0") <= 2


def test_what_is_paused_keeps_its_turn_and_what_runs_is_not_moved(store):
    store.update_record(key_of("b0"), paused=True)
    assert names(store) == ["a0", "b1", "a1", "a2", "b0"]
    assert names(store, queue.waiting) == ["a0", "b1", "a1", "a2"]
    queue.move(store, key_of("b0"), "first")
    store.update_record(key_of("b0"), paused=False)
    store.update_record(key_of("a0"), state="running", started=5.0)
    queue.move(store, key_of("a0"), "down")
    assert names(store) == ["a0", "b0", "a1", "b1", "a2"]


def test_a_paused_queue_hands_nothing_over_and_forgets_nothing(store, tmp_path):
    store.pause_queue(True)
    since = store.queue_pause().since
    store.pause_queue(True)
    assert store.queue_pause().since == since is not None
    assert queue.waiting(store) == ()
    assert len(queue.jobs(store)) == 5
    other = Store(tmp_path)  # another process
    other.pause_queue(False)
    other.close()
    assert len(queue.waiting(store)) == 5


def test_limits_are_told_with_what_to_do(store, monkeypatch):
    limits.require_place(store, "a")
    monkeypatch.setenv("PRUNESCOPE_QUEUE_PER_PERSON", "3")
    with pytest.raises(BadInput, match=r"3 of your runs.*PRUNESCOPE_QUEUE_PER_PERSON.*cancel some"):
        limits.require_place(store, "a-curves")  # her sweeps count as well
    limits.require_place(store, "b")
    limits.require_place(store, "")
    monkeypatch.setenv("PRUNESCOPE_QUEUE_TOTAL", "5")
    with pytest.raises(BadInput, match="5 runs of all people"):
        limits.require_place(store, "b")
    store.update_record(key_of("a0"), state="finished")
    limits.require_place(store, "a")
    monkeypatch.setenv("PRUNESCOPE_QUEUE_TOTAL", "many")
    with pytest.raises(BadInput, match="whole number"):
        limits.require_place(store, "a")


def test_limits_hold_where_a_run_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", "tcp://127.0.0.1:1")
    monkeypatch.setenv("PRUNESCOPE_QUEUE_PER_PERSON", "1")
    opened = Store(tmp_path)
    jobs = Jobs(opened)
    first, second = RunSpec(), RunSpec(fisher=0.5)
    key = jobs.submit(first, group="ada")
    assert jobs.submit(first, group="ada") == key  # what is in the queue is no run more
    with pytest.raises(BadInput, match="at most 1 a person"):
        jobs.submit(second, group="ada-curves")
    assert opened.count() == 1
    jobs.submit(second, group="bob")
    jobs.close()
    opened.close()


def test_a_request_about_a_run_waits_until_the_run_has_ended(tmp_path):
    store = Store(tmp_path)
    spec, key = RunSpec(), key_of("a")
    store.put_record(record_of("a", state="queued", submitted=2.0))
    for name in (key, key_of("b")):
        store.measurements.requests.change(name, lambda _, name=name: Measuring(key=name, spec=spec, submitted=1.0))
    assert {(found.kind, found.key) for found in queue.waiting(store)} == {("run", key), ("measure", key_of("b"))}
    store.put_record(record_of("a", state="finished", submitted=2.0))
    assert {(found.kind, found.key) for found in queue.waiting(store)} == {("measure", key), ("measure", key_of("b"))}
