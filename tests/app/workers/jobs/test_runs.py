"""Runs on real workers, with a small model and the demo's: asked once, followed, cancelled, deleted, pinned."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.workers import tasks
from app.workers.jobs import Jobs
from app.workers.process import MEMORY_WORDS, failure_words
from cache import Store, dense_key
from core.spec import Calibration, Evaluation, RunSpec, make_method
from core.spec.errors import BadInput
from tests.app.workers.jobs.support import (
    IMPOSSIBLE,
    LAYERS,
    ROOT,
    blocks_done,
    ended,
    finished,
    quick,
    slow,
)
from tests.app.workers.processes import wait_for

pytestmark = pytest.mark.faults


def test_the_web_server_s_half_imports_no_torch_even_when_it_works(home):
    code = ("import sys, time; from cache import Store; from app.workers.jobs import Jobs; from core.spec import RunSpec\n"
            "jobs = Jobs(Store()); jobs._connection.wait(); jobs.plan(RunSpec()); jobs.key(RunSpec()); jobs.progress('a' * 64)\n"
            "sys.exit(', '.join({'torch', 'transformers'} & set(sys.modules)) or 0)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_run_of_the_demo_model_finishes(jobs):
    spec = RunSpec(method=make_method("wanda"), calibration=Calibration(windows=8, length=256), evaluation=Evaluation(windows=2))
    result = finished(jobs, jobs.submit(spec))
    assert result.spec == spec
    assert result.dense.perplexity < result.pruned.perplexity < 1000


def test_a_run_is_followed_finishes_and_is_not_computed_again(jobs, home):
    spec = quick(2)
    key = jobs.submit(spec)
    other = Jobs(Store(home))  # another web server
    assert key == jobs.key(spec) == jobs.submit(spec) == other.submit(spec)
    other._connection.wait()  # and handed it over
    result = finished(jobs, key)
    assert result.spec == spec
    assert len(result.layers) == LAYERS
    told = jobs.progress(key)
    assert told.started.layers == LAYERS
    assert told.layers == result.layers
    assert told.latest is not None
    jobs._connection.wait().log_event(tasks.topics(tasks.task_name(jobs.store.record(key)))[0], '{"kind": "of another version"}')
    later = jobs.progress(key)
    assert later.heard > told.heard
    assert later.model_copy(update={"heard": told.heard}) == told
    before = jobs.store.record(key)
    events = jobs._connection.wait().get_events(tasks.topics(tasks.task_name(before))[0])
    assert sum('"kind":"started"' in text for _, text in events) == 1
    assert before.submitted <= before.started <= told.heard <= before.ended + 1
    assert before.started <= before.ended
    assert jobs.submit(spec) == other.submit(spec) == key
    assert jobs.store.record(key) == before
    assert jobs.store.result(key) == result
    other.close()


def test_a_run_s_dense_perplexity_is_kept_for_the_next(jobs):
    first = finished(jobs, jobs.submit(quick(2)))
    store = jobs.store
    kept = store.dense(dense_key(quick(3), first.revisions))
    assert kept == first.dense
    marked = kept.model_copy(update={"perplexity": 123.0})
    store.put_dense(dense_key(quick(3), first.revisions), marked)
    assert finished(jobs, jobs.submit(quick(3))).dense == marked
    store.put_dense(dense_key(quick(3), first.revisions), kept)


def test_a_failed_run_says_why_and_can_be_asked_for_again(jobs):
    spec = quick(2, pattern=IMPOSSIBLE)
    key = jobs.submit(spec)
    first = ended(jobs, key)
    assert first.state == "failed"
    assert first.error.startswith("m: 1024 cannot be used. Allowed: 1 to ")
    jobs.submit(spec)
    wait_for(lambda: (record := jobs.store.record(key)).submitted > first.submitted and record.state == "failed")


def test_a_missing_model_or_a_full_disk_is_said_at_once_and_leaves_no_record(jobs, monkeypatch):
    before = jobs.store.count()
    with pytest.raises(BadInput, match="model"):
        jobs.submit(RunSpec(model="no-such-folder"))
    monkeypatch.setattr(Store, "free_bytes", lambda self: 0)
    with pytest.raises(BadInput, match="disk"):
        jobs.submit(quick(99))
    assert jobs.store.count() == before


def test_waiting_runs_have_places_and_go_at_once_when_cancelled(jobs):
    running, second, third = (jobs.submit(slow(seed)) for seed in (10, 11, 12))
    wait_for(lambda: jobs.store.record(running).state == "running")
    assert [jobs.position(key) for key in (running, second, third)] == [None, 1, 2]
    jobs.cancel(second)
    assert jobs.store.record(second).state == "cancelled"
    assert [jobs.position(key) for key in (running, second, third)] == [None, None, 1]
    jobs.delete(third)
    assert jobs.store.record(third) is None
    jobs.cancel(running)
    assert finished(jobs, jobs.submit(quick(13)))  # the lane is free again
    assert blocks_done(jobs, second) == blocks_done(jobs, third) == 0
    assert jobs.store.record(second).started is None


def test_a_running_run_stops_within_a_layer_and_continues_when_asked_again(jobs):
    key = jobs.submit(slow(20))
    wait_for(lambda: blocks_done(jobs, key) >= 1)
    jobs.cancel(key)
    cancelled = jobs.store.record(key)
    assert cancelled.state == "cancelled"
    assert finished(jobs, jobs.submit(quick(21)))  # runs when the lane is free
    log = (jobs.store.home / "logs" / "device-0.log").read_text()
    assert f"run {key} failed" not in log
    events = jobs._connection.wait().get_events(tasks.topics(tasks.task_name(cancelled))[0])
    late = [text for told, text in events if told > cancelled.ended + 0.05]  # that long a batch may have been on its way
    assert len(late) <= 1
    assert len(events) < LAYERS
    assert jobs.store.record(key) == cancelled
    jobs.submit(slow(20))
    assert finished(jobs, key).resumed_blocks >= 1


def test_a_deleted_run_stops_and_leaves_nothing(jobs):
    key = jobs.submit(slow(30))
    wait_for(lambda: blocks_done(jobs, key) >= 1)
    jobs.delete(key)
    assert finished(jobs, jobs.submit(quick(31)))
    assert jobs.store.record(key) is jobs.store.result(key) is None
    assert not jobs.store.journal(key).folder.exists()


def test_pins_put_a_run_first(jobs):
    key = jobs.submit(quick(2))
    finished(jobs, key)
    jobs.pin(key, True)
    assert jobs.store.runs()[0].key == key
    jobs.pin(key, False)
    assert not jobs.store.record(key).pinned
    jobs.pin("a" * 64, True)  # deleted meanwhile by somebody else
    assert jobs.store.record("a" * 64) is None


def test_words_for_what_went_wrong():
    class OutOfMemoryError(RuntimeError): ...  # torch's name for it on a GPU

    for error in (MemoryError(), OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: can't allocate memory: ...")):
        assert failure_words(error) == MEMORY_WORDS
    assert failure_words(BadInput("m", 3, "1", "Do this.")) == "m: 3 cannot be used. Allowed: 1. Do this."
    assert failure_words(KeyError("x")) == "KeyError: 'x'"
