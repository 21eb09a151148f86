"""A worker in a network namespace of its own, whose link goes down: packets are lost, and no end of the connection is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import suppress

import pytest

from app.workers import cluster
from app.workers.jobs import Jobs
from cache import Store
from tests.app.workers.away.hosts import Host, scheduler
from tests.app.workers.away.test_away import finished, here
from tests.app.workers.jobs.support import BLOCKS, quick, same_numbers, save_small_model, slow
from tests.app.workers.processes import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.long]
NEAR, FAR = "10.213.77.1", "10.213.77.2"
CUT = 75.0  # seconds


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def namespace():
    """Name of a namespace with the address FAR, linked to NEAR here by the interface of the same name."""
    name = f"ps{os.getpid() % 100000}"
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces are for root")
    try:
        ip("netns", "add", name)
    except subprocess.CalledProcessError:
        pytest.skip("no network namespaces here")
    try:
        ip("link", "add", name, "type", "veth", "peer", "name", "far", "netns", name)
        ip("address", "add", f"{NEAR}/24", "dev", name)
        ip("link", "set", name, "up")
        for words in (("link", "set", "lo", "up"), ("address", "add", f"{FAR}/24", "dev", "far"), ("link", "set", "far", "up")):
            ip("-n", name, *words)
        yield name
    finally:
        with suppress(subprocess.CalledProcessError):
            ip("link", "delete", name)
        ip("netns", "delete", name)


@pytest.fixture
def jobs(namespace, tmp_path, monkeypatch):
    """The asking side, a scheduler at NEAR, and a worker behind the link."""
    save_small_model(tmp_path / "models" / "small")
    host, address, keys = scheduler(tmp_path / "scheduler", NEAR)
    for name, value in {"PRUNESCOPE_MODELS": tmp_path / "models", "PRUNESCOPE_THREADS": "1", "PRUNESCOPE_HOME": tmp_path / "home",
                        "PRUNESCOPE_SCHEDULER": address, "PRUNESCOPE_KEYS": keys, "PRUNESCOPE_COLD": "1"}.items():
        monkeypatch.setenv(name, str(value))
    worker = Host(tmp_path / "far", "worker", address, "--memory-limit", "4GB", "--host", FAR, namespace=namespace,
                  PRUNESCOPE_KEYS=str(keys))
    made = Jobs(Store(tmp_path / "home"), answering=False)
    yield made
    made.close()
    worker.stop()
    host.stop()
    cluster.stop_cluster(tmp_path / "home")


def test_a_run_ends_with_the_same_bits_after_the_link_was_down_for_a_minute(jobs, namespace):
    key = jobs.submit(slow(5))
    wait_for(lambda: 1 <= jobs.store.journal(key).blocks < BLOCKS)
    ip("link", "set", namespace, "down")
    time.sleep(CUT)
    ip("link", "set", namespace, "up")
    result = finished(jobs, key)
    assert same_numbers(result, here(slow(5))[0])
    assert finished(jobs, jobs.submit(quick(6))).pruned.perplexity > 0
