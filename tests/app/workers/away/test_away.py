"""Runs on workers that share no disk with the store: real processes with homes, models folders and working directories of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from app.workers import cluster
from app.workers.jobs import Jobs
from cache import Store
from core.export.folder import MemoryJournal
from core.records import RunResult
from core.run.pipeline import prune
from core.spec import Calibration, RunSpec
from tests.app.workers.away.hosts import Host, Wire, scheduler
from tests.app.workers.jobs.support import BLOCKS, ended, quick, same_numbers, save_small_model, slow
from tests.app.workers.processes import wait_for


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The store's host: a home and models, and the address of a scheduler without workers."""
    folder = tmp_path_factory.mktemp("hosts")
    save_small_model(folder / "models" / "small")
    (folder / "texts").mkdir()
    (folder / "texts" / "notes.txt").write_text("A text that lies on the store's host alone. " * 400)
    host, address, keys = scheduler(folder / "scheduler")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"PRUNESCOPE_MODELS": folder / "models", "PRUNESCOPE_TEXTS": folder / "texts", "PRUNESCOPE_THREADS": "1",
                            "PRUNESCOPE_HOME": folder / "home", "PRUNESCOPE_SCHEDULER": address, "PRUNESCOPE_KEYS": keys,
                            "PRUNESCOPE_COLD": "1"}.items():
            patch.setenv(name, str(value))
        yield folder
        cluster.stop_cluster(folder / "home")
    host.stop()


@pytest.fixture
def jobs(place):
    made = Jobs(Store(place / "home"))
    yield made
    for record in made.store.runs(states=("queued", "running")):
        made.delete(record.key)
    made.close()


@pytest.fixture
def start(place, request):
    def started(name: str, address: str = "", **environment: str) -> Host:
        host = Host(place / name, "worker", address or os.environ["PRUNESCOPE_SCHEDULER"], "--memory-limit", "4GB",
                    PRUNESCOPE_KEYS=os.environ["PRUNESCOPE_KEYS"], **environment)
        request.addfinalizer(host.stop)
        return host

    return started


def here(spec: RunSpec) -> tuple[RunResult, MemoryJournal]:
    torch.set_num_threads(1)
    journal = MemoryJournal()
    *_, last = prune(spec, journal=journal)
    return last.result, journal


def finished(jobs: Jobs, key: str) -> RunResult:
    record = ended(jobs, key)
    assert (record.state, record.error) == ("finished", None)
    result = jobs.store.result(key)
    assert result is not None
    return result


def same_weights(jobs: Jobs, key: str, journal: MemoryJournal) -> bool:
    folder = jobs.store.journal(key).folder
    weights = {name: tensor for file in folder.glob("block-*.safetensors") for name, tensor in load_file(file).items()}
    return weights.keys() == journal.weights.keys() and all(torch.equal(weights[name], journal.weights[name]) for name in weights)


def test_a_model_is_sent_once_and_the_bits_are_those_of_this_host(jobs, start):
    host = start("lacking")
    spec = quick(1, calibration=Calibration(windows=4, length=64, seed=1, source="text:notes.txt"))
    key = jobs.submit(spec)
    result = finished(jobs, key)
    local, journal = here(spec)
    assert same_numbers(result, local)
    assert result.revisions == local.revisions
    assert result.calibration == local.calibration
    assert same_weights(jobs, key, journal)
    (model,) = host.received()
    sent = {file.name: file.stat().st_mtime_ns for file in model.iterdir()}
    assert finished(jobs, jobs.submit(quick(2))).spec == quick(2)
    assert host.received() == [model]
    assert {file.name: file.stat().st_mtime_ns for file in model.iterdir()} == sent
    wait_for(lambda: not host.desks(), 30)
    exported = quick(1, calibration=spec.calibration)
    jobs.exporting.submit(exported)
    request = wait_for(lambda: (found := jobs.store.exports.requests.read(key)) and not found.active and found, 120)
    assert (request.state, request.error) == ("finished", None)
    assert jobs.store.exports.ready(key)


@pytest.mark.long
def test_two_stores_on_one_scheduler_have_a_run_computed_once(jobs, start, place):
    host = start("shared")
    other = Jobs(Store(place / "other-home"), answering=False)
    try:
        keys = {jobs.submit(quick(11)), other.submit(quick(11))}
        assert len(keys) == 1
        (key,) = keys
        assert finished(jobs, key) == finished(other, key)
        assert host.log.read_text().count(f"run {key} begun") == 1
        jobs.delete(key)
        again = jobs.submit(quick(11))  # nobody is asked for what has long been finished: each store has its own results
        assert same_numbers(finished(jobs, again), other.store.result(key))
    finally:
        other.close()


@pytest.mark.long
def test_scores_and_speed_are_measured_on_the_other_host_and_come_home(jobs, start):
    from core.evaluate.tasks import open_tasks
    from core.evaluate.zero_shot import score_tasks

    start("measuring")
    spec = quick(9)
    key = jobs.submit(spec)
    finished(jobs, key)
    jobs.scoring.submit(spec, ("embedded_words",), 12)
    request = wait_for(lambda: (found := jobs.store.scores.requests.read(key)) and not found.active and found)
    assert (request.state, request.error) == ("finished", None)
    (scores,) = jobs.store.scores.of_run(key).values()
    tasks = open_tasks(("embedded_words",), None, 12)
    dense = score_tasks(spec, tasks)
    (local,) = score_tasks(spec, tasks, here(spec)[1].weights, dense).values()
    assert scores == local
    jobs.measuring.submit(spec)
    request = wait_for(lambda: (found := jobs.store.measurements.requests.read(key)) and not found.active and found)
    assert (request.state, request.error) == ("finished", None)
    assert jobs.store.measurements.of_run(key).speed
    wrong = quick(10)
    finished(jobs, wrong_key := jobs.submit(wrong))
    jobs.scoring.submit(wrong, ("no_such_task",), 3)
    request = wait_for(lambda: (found := jobs.store.scores.requests.read(wrong_key)) and not found.active and found)
    assert request.state == "failed"
    assert "no_such_task" in request.error


@pytest.mark.faults
@pytest.mark.long
def test_a_killed_worker_is_replaced_by_another_host_from_the_last_block_that_came_home(jobs, start):
    hosts = [start("first"), start("second")]
    key = jobs.submit(slow(3))
    journal = jobs.store.journal(key)
    wait_for(lambda: 2 <= journal.blocks < BLOCKS)
    (busy,) = [host for host in hosts if host.desks()]
    (other,) = [host for host in hosts if host is not busy]
    busy.stop()
    result = finished(jobs, key)
    local, computed = here(slow(3))
    assert 2 <= result.resumed_blocks < BLOCKS
    assert same_numbers(result, local)
    assert same_weights(jobs, key, computed)
    assert other.received()


@pytest.mark.faults
@pytest.mark.long
def test_a_run_goes_on_after_its_worker_was_cut_off(jobs, start, request):
    wire = Wire(int(os.environ["PRUNESCOPE_SCHEDULER"].rpartition(":")[2]))
    request.addfinalizer(wire.close)
    host = start("cut", f"tls://127.0.0.1:{wire.port}")
    key = jobs.submit(slow(4))
    wait_for(lambda: 1 <= jobs.store.journal(key).blocks < BLOCKS)
    before, began = host.computing(), time.monotonic()
    wire.cut()
    wait_for(lambda: host.computing() != before, 120)  # what it computes on is for nobody: it ends, and begins anew
    time.sleep(max(0.0, 60.0 - (time.monotonic() - began)))
    wire.mend()
    result = finished(jobs, key)
    assert 1 <= result.resumed_blocks < BLOCKS
    assert same_numbers(result, here(slow(4))[0])
    assert finished(jobs, jobs.submit(quick(40))).pruned.perplexity > 0


@pytest.mark.long
def test_what_may_not_be_sent_and_what_nobody_wants_ends_in_words(jobs, start, monkeypatch):
    start("strict")
    monkeypatch.setenv("PRUNESCOPE_SEND_GB", "0")
    record = ended(jobs, jobs.submit(quick(5)))
    assert record.state == "failed"
    assert "PRUNESCOPE_SEND_GB" in record.error
    monkeypatch.delenv("PRUNESCOPE_SEND_GB")
    key = jobs.submit(slow(6))
    wait_for(lambda: jobs.store.journal(key).blocks >= 1)
    assert wait_for(lambda: jobs.progress(key).layers, 30)
    jobs.cancel(key)
    assert finished(jobs, jobs.submit(quick(7))).pruned.perplexity > 0
    assert jobs.store.record(key).state == "cancelled"


def test_a_worker_that_does_not_say_what_it_is_takes_no_run_and_that_is_told(jobs, place, request, monkeypatch):
    monkeypatch.setattr("app.workers.connection._ALONE_SECONDS", 0.0)
    cert = str(Path(os.environ["PRUNESCOPE_KEYS"]) / "cert.pem")
    tls = ["--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", cert.replace("cert.pem", "key.pem")]
    stranger = subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_worker", os.environ["PRUNESCOPE_SCHEDULER"], *tls,
                                 "--no-nanny", "--nthreads", "1", "--resources", "device=1", "--name", "stranger", "--no-dashboard"])
    request.addfinalizer(stranger.kill)
    key = jobs.submit(quick(8))
    told = wait_for(lambda: (jobs.progress(key).problem or "") if "stranger" in (jobs.progress(key).problem or "") else "", 60)
    assert "does not say what it is" in told
    assert "app.workers worker" in told
    assert jobs.store.record(key).state == "queued"
