"""Processes of a cluster on several hosts: `python -m app.workers scheduler | worker` (docs/cluster.md).

Both stay in the foreground until they are interrupted. A worker that has lost its scheduler is started again and looks for it anew.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.workers.identity import ROOT
from app.workers.keys import KeyFault, ensure_keys, make_keys
from app.workers.lanes import Lane, lanes
from app.workers.launch import cluster_folder, environment, scheduler_command, worker_command, write_settings
from cache import Store
from core.data.places import default_home
from core.spec.errors import PruneError

_AGAIN = 5.0  # seconds before a process that has ended is started again
_GRACE = 10.0  # seconds that an interrupted process has to end


@dataclass
class _Process:
    """A process that is kept alive."""

    command: list[str]
    environment: dict[str, str]
    running: subprocess.Popen[bytes] | None = None
    due: float = field(default_factory=time.monotonic)

    def keep(self) -> None:
        if self.running is not None and self.running.poll() is not None:
            self.running, self.due = None, time.monotonic() + _AGAIN
        if self.running is None and time.monotonic() >= self.due:
            self.running = subprocess.Popen(self.command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL)


def main(words: list[str]) -> int:
    """Run until interrupted; returns the exit code."""
    chosen = _parser().parse_args(words)
    if chosen.what == "batch":
        from app.workers import batch

        return batch.main()
    home = default_home()
    try:
        started = _scheduler(home, chosen) if chosen.what == "scheduler" else _workers(home, chosen)
    except (KeyFault, PruneError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return _keep_alive(started)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app.workers", description="Scheduler and workers on several hosts (docs/cluster.md).")
    commands = parser.add_subparsers(dest="what", required=True)
    scheduler = commands.add_parser("scheduler", help="a scheduler, with TLS keys that are made at its first start")
    scheduler.add_argument("--host", default="", help="address to listen on; all addresses by default")
    scheduler.add_argument("--port", type=int, default=8786)
    scheduler.add_argument("--protocol", choices=("tls", "tcp"), default="tls", help="tcp has no protection: any process that reaches "
                           "it can have code run")
    commands.add_parser("batch", help="runs of the command line, which starts this itself")
    worker = commands.add_parser("worker", help="workers that compute runs: one for each GPU, or for the CPU")
    worker.add_argument("scheduler", nargs="?", default=os.environ.get("PRUNESCOPE_SCHEDULER", ""), metavar="ADDRESS",
                        help="tls://HOST:PORT of the scheduler; PRUNESCOPE_SCHEDULER by default")
    worker.add_argument("--host", default="", help="address of this host under which the scheduler reaches it; found by default")
    worker.add_argument("--count", type=int, default=1, help="workers on a machine without GPU; PRUNESCOPE_THREADS is of each")
    worker.add_argument("--memory-limit", default="", help="memory of each worker, 16GB say; three quarters of the machine's by default")
    return parser


def _scheduler(home: Path, chosen: argparse.Namespace) -> list[_Process]:
    if chosen.protocol == "tls":
        make_keys()
    write_settings(home, tls=chosen.protocol == "tls")
    if chosen.protocol == "tls":
        keys = ensure_keys(cluster_folder(home))
        sys.stdout.write(f"Keys: {keys}. Copy this folder to each host, and set PRUNESCOPE_KEYS to it there.\n")
        sys.stdout.flush()
    where = ["--host", chosen.host] if chosen.host else []
    return [_Process(scheduler_command("--protocol", chosen.protocol, "--port", str(chosen.port), *where), environment(home, gpu=""))]


def _workers(home: Path, chosen: argparse.Namespace) -> list[_Process]:
    address = str(chosen.scheduler)
    if not address.startswith(("tls://", "tcp://")):
        raise PruneError(f"The scheduler's address is {address!r}; it has the form tls://HOST:8786. Give it after `worker`, or set "
                         "PRUNESCOPE_SCHEDULER.")
    os.environ["PRUNESCOPE_SCHEDULER"] = address
    write_settings(home, tls=address.startswith("tls://"))
    Store(home).close()  # says here what is wrong with the folder, and makes it
    return [_Process(_worker(home, lane, address, chosen), environment(home, lane.gpu)) for lane in _device_lanes(chosen.count)]


def _device_lanes(count: int) -> list[Lane]:
    found = [lane for lane in lanes() if lane.resources == ("device",)]
    if len(found) > 1 or found[0].gpu is not None:
        return found
    return [replace(found[0], name=f"device-{index}", memory=found[0].memory / count) for index in range(max(1, count))]


def _worker(home: Path, lane: Lane, address: str, chosen: argparse.Namespace) -> list[str]:
    named = replace(lane, name=f"{platform.node() or 'localhost'}-{os.getpid()}-{lane.name}")
    more = ["--host", chosen.host] if chosen.host else []
    more += ["--memory-limit", chosen.memory_limit] if chosen.memory_limit else []
    return worker_command(home, named, address, *more)


def _keep_alive(processes: Sequence[_Process]) -> int:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        while True:
            for process in processes:
                process.keep()
            time.sleep(0.2)
    except KeyboardInterrupt:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        running = [process.running for process in processes if process.running is not None]
        for child in running:
            child.terminate()
        for child in running:
            with suppress(subprocess.TimeoutExpired):
                child.wait(_GRACE)
            child.kill()
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
