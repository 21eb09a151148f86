"""Order of the queue: turns between groups, what runs counts, and nothing is lost."""

from __future__ import annotations

import random

from app.workers import queue
from app.workers.queue import Job, in_turns
from cache import Store
from tests.cache.examples import record_of


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
