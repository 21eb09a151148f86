"""Throughput of a sweep on 1, 2 and 4 workers of one thread each, as a ratio: `python -m bench.cluster [--counts 1,2] [--rounds 5]`.

Scheduler, workers and the asking process have homes of their own, as on several machines: models are sent, blocks come home through Dask.
All workers are there from the start and have computed a run; a round lets the keeper use 1, 2, ... of them in turn, each for as many
runs as `--runs` says, and the next round begins with another count: what else the machine does meets all of them alike.

    ratio          (runs a second on k workers) / (on one), of each round; the median of the rounds
    processor      seconds of a run in the computing processes, and in all others (scheduler, nannies, keeper, couriers)
    gap            seconds between the end of a run and the beginning of the next one on its worker
    quiet          the ratio that these figures allow on a machine with nothing else to do: k·(w₁ + g₁) / (w_k + max(g_k, others))
    plain          the ratio of k processes that prune the same and share nothing, on this machine: what it allows at most

On a machine that computes for others as well, wall time says little: processor times and gaps say what the cluster itself costs.
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
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
Round = dict[str, float]


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, usual in (("runs", 2), ("rounds", 5), ("windows", 128)):
        parser.add_argument(f"--{name}", type=int, default=usual, help="of each worker in a round" if name == "runs" else None)
    parser.add_argument("--counts", default="1,2")
    chosen = parser.parse_args()
    counts = [int(word) for word in chosen.counts.split(",")]
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, _cluster(Path(folder), max(counts)) as processes:
        rounds = _measure(Path(folder), processes, counts, chosen.rounds, chosen.runs, chosen.windows)
    plain = _plain(counts, chosen.rounds, chosen.runs, chosen.windows)
    sys.stdout.write(json.dumps({"cores": os.cpu_count(), "load": [round(before, 1), round(os.getloadavg()[0], 1)],
                                 "windows": chosen.windows, **_summary(rounds, counts), "plain": plain}, indent=2) + "\n")


def _summary(rounds: Sequence[Mapping[int, Round]], counts: Sequence[int]) -> dict[str, Any]:
    first, cores = counts[0], os.cpu_count() or 1
    typical = {workers: {name: median(found[workers][name] for found in rounds) for name in rounds[0][workers]} for workers in counts}
    one = typical[first]

    def quiet(workers: int) -> float:
        own, used = typical[workers], min(workers, cores)
        return used * (one["worker"] + one["gap"]) / (own["worker"] + max(own["gap"], own["others"] if used == cores else 0.0))

    return {"ratio": {workers: [round(found[workers]["rate"] / found[first]["rate"], 2) for found in rounds] for workers in counts},
            "median": {workers: round(median(found[workers]["rate"] / found[first]["rate"] for found in rounds), 2) for workers in counts},
            "quiet": {workers: round(quiet(workers), 2) for workers in counts},
            "of_a_run": {workers: {name: round(value, 3) for name, value in found.items()} for workers, found in typical.items()}}


def _measure(folder: Path, processes: Sequence[psutil.Process], counts: Sequence[int], rounds: int, runs: int,
             windows: int) -> list[dict[int, Round]]:
    from app.workers import keeper
    from app.workers.device_workers import device_workers
    from app.workers.jobs import Jobs
    from cache import Store
    from core.spec import Calibration, RunSpec, make_method

    jobs, seeds, allowed = Jobs(Store(folder / "home"), answering=False), count(), [max(counts)]
    keeper.device_workers = lambda client: dict(list(device_workers(client).items())[:allowed[0]])

    def sweep(workers: int, of_each: int) -> Round:
        allowed[0] = workers
        spent, began = _processor(processes), time.perf_counter()
        specs = [RunSpec(method=make_method("thanos"), calibration=Calibration(windows=windows, seed=next(seeds)))
                 for _ in range(workers * of_each)]
        keys = [jobs.submit(spec, group="bench") for spec in specs]
        while any((record := jobs.store.record(key)) is not None and record.active for key in keys):
            time.sleep(0.25)  # each look costs this machine too
        taken = time.perf_counter() - began
        worker, others = (after - before for after, before in zip(_processor(processes), spent, strict=True))
        records = sorted((record for key in keys if (record := jobs.store.record(key))), key=lambda record: record.started or 0)
        if any(record.state != "finished" for record in records):
            raise SystemExit(f"A run did not finish: {[(record.state, record.error) for record in records]}")
        ends = sorted(record.ended or 0 for record in records)
        gaps = [(record.started or 0) - end for record, end in zip(records[workers:], ends, strict=False)]
        return {"rate": len(keys) / taken, "worker": worker / len(keys), "others": others / len(keys), "gap": median(gaps or [0.0])}

    _wait_for_workers(jobs, max(counts))
    _raise(processes)
    sweep(max(counts), 1)  # imports, compiled kernels, the model
    found = [{workers: sweep(workers, runs) for workers in (counts if number % 2 else counts[::-1])} for number in range(rounds)]
    jobs.close()
    return found


PLAIN = """
import sys
from core import Calibration, RunSpec, Thanos, prune
for seed in sys.stdin:
    list(prune(RunSpec(method=Thanos(), calibration=Calibration(windows=int(sys.argv[1]), seed=int(seed)))))
    print("done", flush=True)
"""


def _plain(counts: Sequence[int], rounds: int, runs: int, windows: int) -> dict[int, list[float]]:
    """Runs a second of k processes without a cluster over those of the first count, of each round."""
    settings = {**os.environ, "PRUNESCOPE_THREADS": "1", "OMP_NUM_THREADS": "1"}
    started = [subprocess.Popen([sys.executable, "-c", PLAIN, str(windows)], cwd=ROOT, env=settings, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True) for _ in range(max(counts))]
    seeds = count(1000)

    def rate(workers: int, of_each: int) -> float:
        began = time.perf_counter()
        for process in started[:workers]:
            print(*(next(seeds) for _ in range(of_each)), sep="\n", file=process.stdin, flush=True)
        for process in started[:workers]:
            if any(not process.stdout.readline() for _ in range(of_each)):  # type: ignore[union-attr]
                raise SystemExit("A run did not finish.")
        return workers * of_each / (time.perf_counter() - began)

    try:
        rate(max(counts), 1)
        found = [{workers: rate(workers, runs) for workers in (counts if number % 2 else counts[::-1])} for number in range(rounds)]
    finally:
        for process in started:
            process.kill()
    return {workers: [round(of[workers] / of[counts[0]], 2) for of in found] for workers in counts}


def _processor(processes: Sequence[psutil.Process]) -> tuple[float, float]:
    """Processor seconds of the computing processes, and of all others with this one."""
    computing, others = 0.0, time.process_time()
    for member in [member for process in processes for member in (process, *process.children(recursive=True))]:
        with suppress(psutil.Error):
            times = member.cpu_times()
            if "spawn_main" in " ".join(member.cmdline()):
                computing += times.user + times.system
            else:
                others += times.user + times.system
    return computing, others


def _raise(processes: Sequence[psutil.Process]) -> None:
    """The usual priority for the computing processes, where that is allowed: they give way to whatever else this machine does."""
    for process in processes:
        for member in process.children(recursive=True):
            with suppress(psutil.Error):
                member.nice(0)


def _wait_for_workers(jobs: object, workers: int) -> None:
    from app.workers.device_workers import device_workers

    client = jobs._connection.wait()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 180
    while len(device_workers(client)) < workers:
        if time.monotonic() > deadline:
            raise SystemExit("The workers did not come.")
        time.sleep(0.1)


@contextmanager
def _cluster(folder: Path, workers: int) -> Iterator[list[psutil.Process]]:
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
        yield [psutil.Process(process.pid) for process in started]
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
