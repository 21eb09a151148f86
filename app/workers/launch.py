"""Launch of the scheduler and the workers: command lines, environment, Dask's settings, and the version of the code they run."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import psutil

from app.workers.identity import ROOT, code_files
from app.workers.keys import dask_settings, ensure_keys
from app.workers.lanes import TERMINATE, Lane, threads

IDLE = "8 hours"
# workers keep what they started with
_INHERITED = ("PRUNESCOPE_MODELS", "PRUNESCOPE_TEXTS", "PRUNESCOPE_THREADS", "PRUNESCOPE_KEEP_DAYS", "PRUNESCOPE_KEEP_GB", "PRUNESCOPE_LOG",
              "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT")


def cluster_folder(home: Path) -> Path:
    """This machine's folder below HOME/cluster, made if need be."""
    folder = home / "cluster" / (platform.node() or "localhost")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def code_version() -> str:
    """Code that workers run, and the folders where they look for models."""
    return "\n".join([code_files(), *(f"{name}={os.environ.get(name, '')}" for name in _INHERITED)])


def start_scheduler(home: Path) -> psutil.Process:
    """Start a scheduler; Dask writes its address into the folder's scheduler.json."""
    write_settings(home, tls=True)
    (cluster_folder(home) / "code").write_text(code_version())
    command = [*scheduler_command("--host", "127.0.0.1", "--port", "0", "--idle-timeout", IDLE, "--preload", "app.workers.keeper"),
               "--protocol", "tls", "--scheduler-file", str(cluster_folder(home) / "scheduler.json")]
    return _start(home, "scheduler", command, gpu="")


def start_worker(home: Path, lane: Lane, address: str = "") -> psutil.Process:
    """Start the worker of a lane: of this home's own scheduler, or of the one at `address`."""
    if address:
        write_settings(home, tls=address.startswith("tls://"))
        return _start(home, lane.name, worker_command(home, lane, address), gpu=lane.gpu)
    scheduler = ["--scheduler-file", str(cluster_folder(home) / "scheduler.json")]
    return _start(home, lane.name, worker_command(home, lane, *scheduler, "--host", "127.0.0.1", "--protocol", "tls"), gpu=lane.gpu)


def write_settings(home: Path, *, tls: bool) -> None:
    """Write Dask's settings for the processes of this home. Raises KeyFault."""
    comm = {"comm": dask_settings(ensure_keys(cluster_folder(home)))} if tls else {}
    _settings_file(home).write_text(json.dumps({"distributed": {**_SETTINGS, **comm}}))


def _settings_file(home: Path) -> Path:
    """Of this home's own scheduler, or of processes that join another, whose keys may be others."""
    return cluster_folder(home) / ("dask-joined.yaml" if os.environ.get("PRUNESCOPE_SCHEDULER") else "dask.yaml")


def scheduler_command(*arguments: str) -> list[str]:
    """Command line of a scheduler."""
    return [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard", "--dashboard-address", "127.0.0.1:0", *arguments]


def worker_command(home: Path, lane: Lane, *arguments: str) -> list[str]:
    """Command line of a lane's worker."""
    return [sys.executable, "-m", "distributed.cli.dask_worker", "--name", lane.name, "--nthreads", str(len(lane.resources)),
            "--resources", ",".join(f"{name}=1" for name in lane.resources), "--memory-limit", f"{lane.memory:.3f}",
            "--death-timeout", "60", "--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--preload", "app.workers.startup",
            "--local-directory", str(cluster_folder(home) / "scratch"), *arguments]


def environment(home: Path, gpu: str | None = None) -> dict[str, str]:
    """Environment of a scheduler or worker of this home."""
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    changed = {f"{library}_NUM_THREADS": str(threads()) for library in ("OMP", "MKL", "OPENBLAS")}  # Dask's nanny would say 1
    changed |= {"PYTHONPATH": paths, "PRUNESCOPE_HOME": str(home), "DASK_CONFIG": str(_settings_file(home))}
    # Threads that spin on take each other's cores. Those of a second thread that computes would not spin at all, unless active, and
    # be woken anew for every small product, which takes several times the product itself.
    changed |= {name: os.environ.get(name, default) for name, default in (("GOMP_SPINCOUNT", "10000"), ("OMP_WAIT_POLICY", "active"))}
    changed |= {"CUDA_VISIBLE_DEVICES": gpu} if gpu is not None else {}
    return {**os.environ, **changed}


def _start(home: Path, name: str, command: list[str], *, gpu: str | None) -> psutil.Process:
    log = home / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > 5 * 2**20:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        started = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                                   env=environment(home, gpu))
    return psutil.Process(started.pid)


# Spilling and pausing are for Dask's own data, of which there is none here; a worker that outgrows its memory is killed and started
# again, and its task continues from the journal. Dask has the C library give back all memory that is free for a moment: every
# temporary is then paged in anew, which doubles the time of a preview and of a run.
_SETTINGS = {
    "nanny": {"pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": None}},
    "worker": {"memory": {"target": False, "spill": False, "pause": False, "terminate": TERMINATE}, "profile": {"enabled": False},
               "http": {"routes": []}},
    "scheduler": {"http": {"routes": []}, "active-memory-manager": {"start": False}},
    # low-level-log-length: events kept of a topic, all layers. tick: Dask looks 50 times a second whether its loop answers, which
    # is 2 % of a core for each process that has nothing to do.
    "diagnostics": {"nvml": False},
    "admin": {"low-level-log-length": 10_000, "tick": {"interval": "1s"}, "system-monitor": {"interval": "2s"}},
}
