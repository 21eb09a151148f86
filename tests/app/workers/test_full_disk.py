"""A disk that fills while a run goes on: the run waits in words and goes on by itself, and runs are deleted meanwhile."""

from __future__ import annotations

import shutil

import pytest

from app.workers import cluster
from app.workers.jobs import Jobs
from cache import Store
from core.spec.errors import BadInput
from tests.app.workers.jobs.support import LAYERS, blocks_done, finished, quick, same_numbers, save_small_model, slow
from tests.app.workers.processes import wait_for
from tests.small_disk import fill, small_disk


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    save_small_model(tmp_path / "models" / "small")
    with small_disk(tmp_path / "disk", 64) as disk:
        for name, value in (("PRUNESCOPE_MODELS", tmp_path / "models"), ("PRUNESCOPE_HOME", disk / "home"), ("PRUNESCOPE_COLD", 1),
                            ("PRUNESCOPE_THREADS", 1)):
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr("cache.store._RESERVE", 2**20)  # a run could not be asked for on a disk as small as this
        made = Jobs(Store(disk / "home"))
        yield made
        made.close()
        cluster.stop_cluster(disk / "home")


@pytest.mark.long
@pytest.mark.faults
def test_a_run_waits_for_room_and_goes_on_by_itself(jobs):
    store, disk = jobs.store, jobs.store.home.parent
    first, second = jobs.submit(quick(1)), jobs.submit(quick(2))
    finished(jobs, first)
    finished(jobs, second)
    shutil.rmtree(store.journal(second).folder)
    key = jobs.submit(slow(3))
    wait_for(lambda: blocks_done(jobs, key) >= 1)
    filler = fill(disk)
    told = wait_for(lambda: (latest := jobs.progress(key).latest) and latest.stage == "room" and latest)
    assert "is full" in told.note
    assert "are needed" in told.note
    done = blocks_done(jobs, key)
    assert 1 <= done < 12

    with pytest.raises(BadInput, match="disk"):
        jobs.submit(quick(4))
    jobs.delete(second)  # nothing of it but rows: the reserve makes room for their change
    jobs.pin(first, True)
    fill(disk)
    jobs.delete(first)
    assert store.record(first) is store.record(second) is None
    assert (store.record(key).state, blocks_done(jobs, key)) == ("running", done)

    filler.unlink()
    result = finished(jobs, key)
    assert (len(result.layers), result.resumed_blocks) == (LAYERS, 0)
    jobs.delete(key)
    assert same_numbers(finished(jobs, jobs.submit(slow(3))), result)
    wait_for((store.home / "store" / "reserve").exists)
