"""The processes of a cluster, to look at, to kill and to wait for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil

from app.workers import cluster


def family(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


def kill(pid: int) -> None:
    process = psutil.Process(pid)
    process.kill()
    psutil.wait_procs([process], timeout=5)


def processes(home: Path) -> dict[str, int]:
    return dict(cluster.cluster_status(home)["processes"])


def wait_for(what: Callable[[], object], seconds: float = 300) -> object:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found
