"""Workers, web servers and schedulers that die: no finished block is lost, no bit changes, and what waits says why."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import torch

from app.workers import cluster
from app.workers.jobs import Jobs
from cache import Store
from tests.app.workers.jobs.support import (
    LAYERS,
    ROOT,
    blocks_done,
    device_worker,
    ended,
    finished,
    kill,
    quick,
    same_numbers,
    slow,
)
from tests.app.workers.processes import wait_for


def test_a_killed_worker_costs_no_finished_block_and_no_bit(jobs, home):
    key = jobs.submit(slow(40))
    whole = finished(jobs, key)
    weights = jobs.store.journal(key).weights
    jobs.delete(key)

    assert jobs.submit(slow(40)) == key
    wait_for(lambda: blocks_done(jobs, key) >= 2)
    kill(device_worker(home))
    continued = finished(jobs, key)
    assert continued.resumed_blocks >= 2
    assert whole.resumed_blocks == 0
    assert same_numbers(whole, continued)
    again = jobs.store.journal(key).weights
    assert len(again) == len(weights) == LAYERS
    assert all(torch.equal(again[name], weight) for name, weight in weights.items())


@pytest.mark.long
@pytest.mark.faults
def test_a_worker_that_dies_again_and_again_fails_the_run_it_computed_and_no_other(jobs, home):
    key = jobs.submit(slow(50))
    behind = [jobs.submit(quick(seed)) for seed in range(51, 56)]
    last = 0.0
    for _ in range(4):  # Dask's allowed-failures is 3
        wait_for(lambda last=last: (jobs.store.record(key).started or 0.0) > last)
        last = jobs.store.record(key).started
        kill(device_worker(home))
    record = ended(jobs, key)
    assert record.state == "failed"
    assert "died several times" in record.error
    for other in behind:  # once they were queued on the same worker, and failed with it
        assert finished(jobs, other).resumed_blocks == 0


def test_a_run_goes_on_without_the_web_server_that_asked(jobs, home):
    spec = slow(60)
    code = ("import os, signal, sys; from cache import Store; from app.workers.jobs import Jobs; from core.spec import RunSpec\n"
            "jobs = Jobs(Store()); jobs._connection.wait(); jobs.submit(RunSpec.model_validate_json(sys.argv[1]))\n"
            "import time; time.sleep(0.5); os.kill(os.getpid(), signal.SIGKILL)")
    done = subprocess.run([sys.executable, "-c", code, spec.model_dump_json()], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    record = jobs.store.record(jobs.key(spec))
    assert record.active
    before = cluster.cluster_status(home)
    assert len(finished(jobs, record.key).layers) == LAYERS
    assert cluster.cluster_status(home) == before
    assert len(jobs.progress(record.key).layers) == LAYERS  # told to a client that came later


@pytest.mark.long
@pytest.mark.faults
def test_a_dead_scheduler_s_queue_is_not_lost(jobs, home):
    running, waiting = jobs.submit(slow(70)), jobs.submit(quick(71))
    wait_for(lambda: blocks_done(jobs, running) >= 1)
    before = jobs.store.record(running).started
    kill(cluster.cluster_status(home)["processes"]["scheduler"])
    wait_for(lambda: jobs.store.record(running).started > before)  # by itself: nobody asks for progress

    jobs.close()  # the web server goes, then the scheduler again
    kill(cluster.cluster_status(home)["processes"]["scheduler"])
    later = Jobs(Store(home))
    later.recover()
    wait_for(lambda: later.store.record(waiting).state == "finished")
    assert finished(later, running).resumed_blocks >= 1
    later.close()


def test_nothing_is_started_to_recover_nothing(tmp_path, request):
    request.addfinalizer(lambda: cluster.stop_cluster(tmp_path))
    idle = Jobs(Store(tmp_path))
    idle.recover()
    assert idle.progress("a" * 64).layers == ()
    assert not idle._connection._looking
    assert cluster.cluster_status(tmp_path)["processes"] == {}


def test_a_run_that_waits_for_lost_workers_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", "tcp://127.0.0.1:9")
    monkeypatch.setattr("app.workers.connection._CONNECT_SECONDS", 1)
    store = Store(tmp_path)
    waiting = Jobs(store)
    key = waiting.submit(quick(1))
    wait_for(lambda: waiting.progress(key).problem)
    assert "cannot be reached" in waiting.progress(key).problem
    assert waiting.position(key) == 1
    waiting.close()
    store.close()
