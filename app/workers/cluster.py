"""The processes that compute: a Dask scheduler and its workers, loopback only, found again after the web server restarts.

    HOME/cluster/HOST/scheduler.json   the scheduler's address, written by Dask
    HOME/cluster/HOST/processes.json   which processes were started (number and birth, so that a reused number is no match)
    HOME/cluster/HOST/lock, code       held while somebody starts or stops, gone with its holder; which code they run
    HOME/cluster/HOST/dask*.yaml       Dask's settings for them           HOME/logs/NAME.log   what they say
    HOME/cluster/HOST/keys             TLS keys, without which nobody is heard (app/workers/keys.py)

Two lanes, by Dask resources: `device` workers compute runs, one for each GPU or one for the CPU; the `interactive` worker answers
while a page waits, `quick` questions on a thread of their own. They outlive the web
server. The scheduler ends after IDLE without work, the workers after it.
PRUNESCOPE_SCHEDULER=tls://HOST:8786 has runs computed by a scheduler of your own instead, with the keys in PRUNESCOPE_KEYS (tcp:// without
any, which takes code from whoever reaches it). Its device workers share no disk with this machine (docs/cluster.md); the interactive
worker, which reads the store, is started here and joins that scheduler.

    python -m app.cluster status | stop
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil

from app.workers.homes import own_resource
from app.workers.keys import KeyFault, client_security, ensure_keys
from app.workers.lanes import interactive_lane, lanes
from app.workers.launch import cluster_folder, code_version, start_scheduler, start_worker
from cache.store import default_home

if TYPE_CHECKING:
    from distributed.security import Security

_START_SECONDS = 30.0


class ClusterError(Exception):
    """The processes could not be started or reached; the text says where to look."""


def ensure_cluster(home: Path, *, renew: bool = False) -> str:
    """The scheduler's address, started with its workers where they are missing. Two callers at once start one cluster.
    `renew`: also where they run other code than this process. Raises ClusterError."""
    if external := os.environ.get("PRUNESCOPE_SCHEDULER"):
        return external
    folder = cluster_folder(home)
    with _lock(folder):
        try:
            ensure_keys(folder)
        except KeyFault as error:
            raise ClusterError(str(error)) from error
        alive = _alive(folder)
        outdated = renew and (not (folder / "code").exists() or (folder / "code").read_text() != code_version())
        address = _address(folder) if "scheduler" in alive and not outdated else None
        if address is None:
            _end(alive.values())
            (folder / "scheduler.json").unlink(missing_ok=True)
            alive = {"scheduler": start_scheduler(home)}
        for lane in lanes():
            if lane.name not in alive:
                alive[lane.name] = start_worker(home, lane)
        _remember(folder, alive)
        deadline = time.monotonic() + _START_SECONDS
        while address is None and time.monotonic() < deadline and _lives(alive["scheduler"]):
            time.sleep(0.02)
            address = _address(folder)
        if address is None:
            _end(alive.values())
            raise ClusterError(f"it did not start; its log is {home / 'logs' / 'scheduler.log'}.")
        return address


def ensure_beside(home: Path, address: str) -> None:
    """Have the interactive worker of this home join a scheduler of one's own; one that runs other code, or has joined another
    scheduler, is replaced. Raises ClusterError."""
    folder, wanted = cluster_folder(home), f"{address}\n{code_version()}"
    with _lock(folder):
        alive, mark = _alive(folder), folder / "beside"
        lane = interactive_lane("beside-0", (own_resource(home, "interactive"), own_resource(home, "quick")))
        if lane.name in alive:
            if mark.exists() and mark.read_text() == wanted:
                return
            _end([alive.pop(lane.name)])
        try:
            _remember(folder, {**alive, lane.name: start_worker(home, lane, address)})
        except KeyFault as error:
            raise ClusterError(str(error)) from error
        mark.write_text(wanted)


def security(home: Path, address: str) -> Security | None:
    """Credentials of a client for the scheduler at this address; None for one that asks for nothing. Raises ClusterError."""
    try:
        return client_security(address, ensure_keys(cluster_folder(home)))
    except KeyFault as error:
        raise ClusterError(str(error)) from error


def stop_cluster(home: Path) -> None:
    """End what `ensure_cluster` started. Finished blocks of a run that is going on are kept; it continues when started again."""
    folder = cluster_folder(home)
    with _lock(folder):
        _end(_alive(folder).values())
        for name in ("scheduler.json", "processes.json"):
            (folder / name).unlink(missing_ok=True)


def cluster_status(home: Path) -> dict[str, object]:
    """The address, or None, and the numbers of the processes that are alive."""
    folder = cluster_folder(home)
    alive = _alive(folder)
    address = os.environ.get("PRUNESCOPE_SCHEDULER") or (_address(folder) if "scheduler" in alive else None)
    return {"home": str(home), "address": address, "processes": {name: process.pid for name, process in alive.items()}}


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _alive(folder: Path) -> dict[str, psutil.Process]:
    """The processes that were started and still live; a file that somebody damaged names none."""
    found: dict[str, psutil.Process] = {}
    with suppress(OSError, ValueError, AttributeError):
        for name, entry in json.loads((folder / "processes.json").read_text()).items():
            with suppress(psutil.Error, TypeError, KeyError):
                process = psutil.Process(entry["pid"])
                if abs(process.create_time() - entry["created"]) < 1 and _lives(process):
                    found[name] = process
    return found


def _remember(folder: Path, alive: dict[str, psutil.Process]) -> None:
    entries = {name: {"pid": process.pid, "created": process.create_time()} for name, process in alive.items()}
    (folder / "processes.tmp").write_text(json.dumps(entries))
    (folder / "processes.tmp").replace(folder / "processes.json")


def _address(folder: Path) -> str | None:
    """The address in the scheduler file, if somebody answers there."""
    try:
        address = str(json.loads((folder / "scheduler.json").read_text())["address"])
        place = urlsplit(address)
        socket.create_connection((place.hostname or "", place.port or 0), timeout=1).close()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return address


def _end(processes: Iterable[psutil.Process]) -> None:
    """Nannies first, which would start their workers again. A kill loses nothing: writes are all or nothing."""
    doomed = list(processes)
    for process in tuple(doomed):
        with suppress(psutil.Error):
            doomed += process.children(recursive=True)
    for process in doomed:
        with suppress(psutil.Error):
            process.kill()
    deadline = time.monotonic() + 5
    while any(_lives(process) for process in doomed) and time.monotonic() < deadline:
        time.sleep(0.01)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def main(words: list[str]) -> int:
    """`status` or `stop`; returns the exit code."""
    home = default_home()
    if words not in (["stop"], ["status"]):
        sys.stderr.write("Usage: python -m app.cluster status | stop | queue | pause | resume\n")
        return 2
    if words == ["stop"]:
        stop_cluster(home)
    sys.stdout.write(json.dumps(cluster_status(home), indent=2) + "\n")
    return 0
