"""Throughput of a sweep with 1, 2 and 4 workers of one thread each, as a ratio: `python -m bench.cluster [--runs 8] [--counts 1,2,4]`.

Scheduler, workers and the asking process have homes of their own, as on several machines: models are sent, blocks come home through Dask.
Each worker computes one run before the time is taken. On two cores 2 workers are to reach 1.85 when nothing else runs; more workers than
cores gain nothing. The load average says whether the machine was quiet.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--counts", default="1,2,4")
    parser.add_argument("--windows", type=int, default=128)
    chosen = parser.parse_args()
    before = os.getloadavg()[0]
    rates = {count: _rate(count, chosen.runs, chosen.windows) for count in map(int, chosen.counts.split(","))}
    first = rates[min(rates)]
    sys.stdout.write(json.dumps({
        "cores": os.cpu_count(), "load_before": round(before, 2), "runs": chosen.runs, "windows": chosen.windows,
        "runs_a_minute": {count: round(60 * rate, 2) for count, rate in rates.items()},
        "ratio": {count: round(rate / first, 3) for count, rate in rates.items()}}, indent=2) + "\n")


def _rate(workers: int, runs: int, windows: int) -> float:
    """Runs a second of a sweep on this many workers."""
    with tempfile.TemporaryDirectory() as folder, _cluster(Path(folder), workers):
        from app.workers.jobs import Jobs
        from cache import Store
        from core.spec import Calibration, RunSpec, make_method

        jobs = Jobs(Store(Path(folder) / "home"), answering=False)

        def sweep(seeds: Sequence[int]) -> float:
            began = time.perf_counter()
            keys = [jobs.submit(RunSpec(method=make_method("thanos"), calibration=Calibration(windows=windows, seed=seed)), group="bench")
                    for seed in seeds]
            while any((record := jobs.store.record(key)) is not None and record.active for key in keys):
                time.sleep(0.02)
            states = [(record.state, record.error) for key in keys if (record := jobs.store.record(key)) is not None]
            if any(state != "finished" for state, _ in states):
                raise SystemExit(f"A run did not finish: {states}")
            return time.perf_counter() - began

        _wait_for_workers(jobs, workers)
        sweep(range(1000, 1000 + workers))  # imports, compiled kernels, the model
        taken = sweep(range(runs))
        jobs.close()
        return runs / taken


def _wait_for_workers(jobs: object, count: int) -> None:
    from app.workers.device_workers import device_workers

    client = jobs._connection.wait()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 120
    while len(device_workers(client)) < count:
        if time.monotonic() > deadline:
            raise SystemExit("The workers did not come.")
        time.sleep(0.1)


@contextmanager
def _cluster(folder: Path, workers: int) -> Iterator[None]:
    """A scheduler and workers with homes of their own, and this process as the one that asks."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address, started = f"tls://127.0.0.1:{port}", list[subprocess.Popen[bytes]]()
    try:
        started.append(_start(folder / "scheduler", ["scheduler", "--host", "127.0.0.1", "--port", str(port)], {}))
        deadline = time.monotonic() + 60
        while not (keys := list(folder.rglob("key.pem"))) and time.monotonic() < deadline:
            time.sleep(0.1)
        settings = {"PRUNESCOPE_KEYS": str(keys[0].parent), "PRUNESCOPE_SCHEDULER": address, "PRUNESCOPE_THREADS": "1"}
        started.append(_start(folder / "workers", ["worker", "--count", str(workers)], settings))
        os.environ.update({**settings, "PRUNESCOPE_HOME": str(folder / "home")})
        yield
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def _start(home: Path, words: Sequence[str], settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "app.workers", *words], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            env={**os.environ, "PRUNESCOPE_HOME": str(home), **settings})


if __name__ == "__main__":
    main()
