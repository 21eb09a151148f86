"""Launch of the scheduler and the workers: command lines, environment, Dask's settings, and the version of the code they run."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import psutil

from app.workers.keys import dask_settings, ensure_keys
from app.workers.lanes import TERMINATE, Lane, threads
from cache.keys import files_key

ROOT = Path(__file__).resolve().parents[2]
IDLE = "8 hours"
# workers keep what they started with
_INHERITED = ("PRUNESCOPE_MODELS", "PRUNESCOPE_TEXTS", "PRUNESCOPE_THREADS", "PRUNESCOPE_KEEP_DAYS", "PRUNESCOPE_KEEP_GB", "PRUNESCOPE_LOG",
              "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT")


def cluster_folder(home: Path) -> Path:
    """This machine's folder below HOME/cluster, made if need be."""
    folder = home / "cluster" / (platform.node() or "localhost")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@lru_cache(maxsize=1)
def _files() -> str:
    """The code of this process and the workers it starts. Read once: files that change later are the next process's."""
    return files_key([*(ROOT / "core").rglob("*.py"), *(ROOT / "cache").rglob("*.py"), *(ROOT / "app" / "workers").glob("*.py"),
                      *(ROOT / "app").glob("*/questions.py"), *(ROOT / "app" / "shared" / "questions").glob("*.py")])


def code_version() -> str:
    """Code that workers run, and the folders where they look for models."""
    return "\n".join([_files(), *(f"{name}={os.environ.get(name, '')}" for name in _INHERITED)])


def start_scheduler(home: Path) -> psutil.Process:
    """Start a scheduler; Dask writes its address into the folder's scheduler.json."""
    comm = dask_settings(ensure_keys(cluster_folder(home)))
    (cluster_folder(home) / "dask.yaml").write_text(json.dumps({"distributed": {**_SETTINGS, "comm": comm}}))
    (cluster_folder(home) / "code").write_text(code_version())
    return _start(home, "scheduler", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--protocol", "tls", "--port", "0",
                  "--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--idle-timeout", IDLE,
                  "--preload", "app.workers.keeper", gpu="")


def start_worker(home: Path, lane: Lane) -> psutil.Process:
    """Start the worker of a lane."""
    return _start(home, lane.name, "distributed.cli.dask_worker", "--host", "127.0.0.1", "--protocol", "tls", "--name", lane.name,
                  "--nthreads", str(len(lane.resources)), "--resources", ",".join(f"{name}=1" for name in lane.resources),
                  "--memory-limit", f"{lane.memory:.3f}", "--death-timeout", "60", "--no-dashboard",
                  "--dashboard-address", "127.0.0.1:0", "--preload", "app.workers.startup",
                  "--local-directory", str(cluster_folder(home) / "scratch"), gpu=lane.gpu)


def _start(home: Path, name: str, module: str, *arguments: str, gpu: str | None) -> psutil.Process:
    folder, log = cluster_folder(home), home / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > 5 * 2**20:
        log.replace(log.with_suffix(".log.1"))
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {f"{library}_NUM_THREADS": str(threads()) for library in ("OMP", "MKL", "OPENBLAS")}  # Dask's nanny would say 1
    environment |= {"PYTHONPATH": paths, "PRUNESCOPE_HOME": str(home), "DASK_CONFIG": str(folder / "dask.yaml")}
    # Threads that spin on take each other's cores. Those of a second thread that computes would not spin at all, unless active, and
    # be woken anew for every small product, which takes several times the product itself.
    environment |= {name: os.environ.get(name, default) for name, default in (("GOMP_SPINCOUNT", "10000"), ("OMP_WAIT_POLICY", "active"))}
    environment |= {"CUDA_VISIBLE_DEVICES": gpu} if gpu is not None else {}
    with log.open("ab") as output:
        started = subprocess.Popen([sys.executable, "-m", module, "--scheduler-file", str(folder / "scheduler.json"), *arguments],
                                   cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                                   env={**os.environ, **environment})
    return psutil.Process(started.pid)


# Spilling and pausing are for Dask's own data, of which there is none here; a worker that outgrows its memory is killed and started
# again, and its task continues from the journal. Dask has the C library give back all memory that is free for a moment: every
# temporary is then paged in anew, which doubles the time of a preview and of a run.
_SETTINGS = {
    "nanny": {"pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": None}},
    "worker": {"memory": {"target": False, "spill": False, "pause": False, "terminate": TERMINATE}, "profile": {"enabled": False},
               "http": {"routes": []}},
    "scheduler": {"http": {"routes": []}, "active-memory-manager": {"start": False}},
    "diagnostics": {"nvml": False}, "admin": {"low-level-log-length": 10_000},  # events kept of a topic: all layers
}
