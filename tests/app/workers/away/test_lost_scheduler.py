"""A scheduler of one's own that is killed and started again at its address: workers and the asking side find it anew."""

from __future__ import annotations

import time

import pytest

from app.workers.jobs import Jobs
from cache import Store
from tests.app.workers.away.hosts import Host, scheduler
from tests.app.workers.away.test_away import finished, here
from tests.app.workers.jobs.support import BLOCKS, quick, same_numbers, save_small_model, slow
from tests.app.workers.processes import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.long]


def test_a_run_goes_on_when_its_scheduler_is_there_again(tmp_path, monkeypatch, request):
    save_small_model(tmp_path / "models" / "small")
    first, address, keys = scheduler(tmp_path / "scheduler")
    request.addfinalizer(first.stop)
    for name, value in {"PRUNESCOPE_MODELS": tmp_path / "models", "PRUNESCOPE_THREADS": "1", "PRUNESCOPE_HOME": tmp_path / "home",
                        "PRUNESCOPE_SCHEDULER": address, "PRUNESCOPE_KEYS": keys, "PRUNESCOPE_COLD": "1"}.items():
        monkeypatch.setenv(name, str(value))
    worker = Host(tmp_path / "there", "worker", address, "--memory-limit", "4GB", PRUNESCOPE_KEYS=str(keys))
    request.addfinalizer(worker.stop)
    jobs = Jobs(Store(tmp_path / "home"), answering=False)
    request.addfinalizer(jobs.close)
    key = jobs.submit(slow(12))
    wait_for(lambda: 1 <= jobs.store.journal(key).blocks < BLOCKS)
    first.stop()
    waiting = jobs.submit(quick(13))
    time.sleep(5)
    again = Host(tmp_path / "again", "scheduler", "--host", "127.0.0.1", "--port", address.rpartition(":")[2], PRUNESCOPE_KEYS=str(keys))
    request.addfinalizer(again.stop)
    result = finished(jobs, key)
    assert same_numbers(result, here(slow(12))[0])
    assert result.resumed_blocks >= 1
    assert finished(jobs, waiting).pruned.perplexity > 0
