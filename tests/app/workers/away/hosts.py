"""A scheduler and workers as on hosts of their own: each with its home, its working directory and its models, started by the app's own
commands; and a wire that can be cut."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil

from app.workers import away
from tests.app.workers.processes import wait_for

ROOT = Path(away.__file__).resolve().parents[3]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Host:
    """A process of `python -m app.workers` with a home of its own below `folder`, in a network `namespace` or this one."""

    def __init__(self, folder: Path, *words: str, namespace: str = "", **environment: str) -> None:
        self.home = folder / "home"
        (folder / "elsewhere").mkdir(parents=True)
        known = {name: value for name, value in os.environ.items() if not name.startswith(("PRUNESCOPE_", "PYTEST"))}
        self.log, inside = folder / "log", ["ip", "netns", "exec", namespace] if namespace else []
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*inside, sys.executable, "-m", "app.workers", *words], cwd=folder / "elsewhere", stdout=log, stderr=log,
                stdin=subprocess.DEVNULL,
                env={**known, "PYTHONPATH": str(ROOT), "PRUNESCOPE_HOME": str(self.home), "PRUNESCOPE_THREADS": "1", **environment})

    def desks(self) -> list[Path]:
        return list((self.home / "away").glob("desk-*"))

    def received(self) -> list[Path]:
        return list((self.home / "received" / "models").glob("*"))

    def computing(self) -> psutil.Process | None:
        """The process in which tasks run."""
        found = list[psutil.Process]()
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                found += [child] if "spawn_main" in " ".join(child.cmdline()) else []
        return found[0] if len(found) == 1 else None

    def stop(self) -> None:
        if self.process.poll() is not None:
            return
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        for process in family:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)


class Wire:
    """A port that leads to another, until it is cut."""

    def __init__(self, port: int) -> None:
        self._to, self._open, self._sockets = port, True, list[socket.socket]()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._open = False
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def mend(self) -> None:
        self._open = True

    def close(self) -> None:
        self.cut()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if not self._open:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._to))
            self._sockets += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_copy, args=(one, other), daemon=True).start()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
    for end in (one, other):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def scheduler(folder: Path, address: str = "127.0.0.1") -> tuple[Host, str, Path]:
    """A scheduler, its address, and the folder with its keys."""
    port = free_port()
    host = Host(folder, "scheduler", "--host", address, "--port", str(port))
    wait_for(lambda: b"Scheduler at" in host.log.read_bytes(), 60)
    return host, f"tls://{address}:{port}", next(host.home.rglob("key.pem")).parent
