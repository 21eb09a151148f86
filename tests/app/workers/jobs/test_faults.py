"""Faults that take a minute: a scheduler that is silent, a connection that is cut, a dead nanny. Same bits, and the next run starts."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from app.workers import cluster
from app.workers.jobs import Jobs
from cache import Store
from core.records import RunResult
from tests.app.workers.jobs.support import BLOCKS, blocks_done, finished, kill, quick, same_numbers, slow
from tests.app.workers.processes import processes, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.long]
MINUTE = 60.0


class Cable:
    """A way to a port of this machine that can be cut."""

    def __init__(self, port: int) -> None:
        self._port, self._cut, self._ends = port, False, list[socket.socket]()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def cut(self, seconds: float) -> None:
        """End all connections, and let none be made for some time."""
        self._cut = True
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()
        time.sleep(seconds)
        self._cut = False

    def close(self) -> None:
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._cut:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._port))
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=(one, other), daemon=True).start()


def _carry(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    for end in (one, other):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(autouse=True)
def _nothing_computed_before(jobs: Jobs) -> Iterator[None]:
    """A run that a test before has finished would be served, not computed."""
    yield
    jobs.delete(jobs.key(slow(200)))


@pytest.fixture(scope="module")
def whole(shared: Jobs) -> RunResult:
    """The same run without a fault."""
    key = shared.submit(slow(200))
    result = finished(shared, key)
    shared.delete(key)
    return result


def test_a_scheduler_that_is_silent_for_a_minute(jobs: Jobs, home, whole: RunResult) -> None:
    key, behind = jobs.submit(slow(200)), jobs.submit(quick(201))
    wait_for(lambda: blocks_done(jobs, key) >= 1)
    scheduler = psutil.Process(processes(home)["scheduler"])
    scheduler.suspend()
    began = time.monotonic()
    try:
        while time.monotonic() < began + MINUTE:
            jobs.progress(key)  # as pages do meanwhile
            time.sleep(1)
    finally:
        scheduler.resume()
    assert same_numbers(finished(jobs, key), whole)
    finished(jobs, behind)


@pytest.fixture
def cable(home) -> Iterator[Cable]:
    made = Cable(int(str(cluster.cluster_status(home)["address"]).rpartition(":")[2]))
    yield made
    made.close()


def test_a_connection_that_is_cut_for_a_minute(jobs: Jobs, home, whole: RunResult, cable: Cable, monkeypatch) -> None:
    """Between a web server and the scheduler: what was asked for goes on, and the server finds it again."""
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", f"tls://127.0.0.1:{cable.port}")
    monkeypatch.setenv("PRUNESCOPE_KEYS", str(cluster.cluster_folder(home) / "keys"))
    away = Jobs(Store(home))
    try:
        key, behind = away.submit(slow(200)), away.submit(quick(202))
        wait_for(lambda: blocks_done(away, key) >= 1)
        assert jobs.store.record(key).active
        cable.cut(MINUTE)
        later = away.submit(quick(203))
        assert same_numbers(finished(away, key), whole)
        for other in (behind, later):
            finished(away, other)
    finally:
        away.close()


def test_a_killed_nanny_with_its_worker(jobs: Jobs, home, whole: RunResult) -> None:
    key, behind = jobs.submit(slow(200)), jobs.submit(quick(204))
    wait_for(lambda: blocks_done(jobs, key) >= 2)
    nanny = psutil.Process(processes(home)["device-0"])
    workers = nanny.children(recursive=True)
    kill(nanny.pid)
    for worker in workers:
        if worker.is_running():
            worker.kill()
    result = finished(jobs, key)
    assert 2 <= result.resumed_blocks < BLOCKS
    assert same_numbers(result, whole)
    finished(jobs, behind)
