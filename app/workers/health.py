"""Health of an installation: scheduler, workers, device, store, queue, versions. Looks only: nothing is started. No torch."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from pathlib import Path
from typing import Any, Literal

from app.workers.cluster import cluster_status, security
from app.workers.device_workers import device_workers
from app.workers.lanes import visible_gpus
from app.workers.waiting import summary
from cache import Store
from core.spec.base import FrozenModel
from core.spec.errors import PruneError

State = Literal["ok", "degraded", "down"]
_PACKAGES = ("torch", "transformers", "streamlit", "distributed")
_CONNECT_SECONDS = 5
_SILENT_SECONDS = 30.0  # without a sign of life, after which a worker is a problem
_QUEUE_SHOWN = 20
_ROOM = 2**30  # bytes free, below which runs may have to wait for room


class WorkerHealth(FrozenModel):
    """A worker as its scheduler knows it. Bytes; `seen` is seconds ago."""

    name: str
    resources: tuple[str, ...]
    threads: int
    memory: int
    memory_limit: int | None
    seen: float
    tasks: tuple[str, ...]


class Health(FrozenModel):
    """State of an installation. `problems` are sentences; "down": nothing can be computed or kept."""

    state: State
    problems: tuple[str, ...]
    scheduler: str | None  # its address
    workers: tuple[WorkerHealth, ...]
    device: str
    store: dict[str, object]
    queue: dict[str, object]
    versions: dict[str, str]


def examine(home: Path, store: Store | None, *, version: str = "", reason: str = "") -> Health:
    """Look at everything; what cannot be looked at is a problem, and the rest is told. `store`: None where it cannot be opened, for
    `reason`; `version`: of this program."""
    address, workers, problems = _scheduler(home)
    down = bool(problems)
    kept, waiting = dict[str, object](), dict[str, object]()
    if store is None:
        problems.append(f"The store below {home} cannot be opened. {reason}".rstrip())
        down = True
    else:
        try:
            kept, waiting = _store(store), summary(store, workers=sum("device" in worker.resources for worker in workers), now=time.time(),
                                                   most=_QUEUE_SHOWN)
            problems += _troubles(store, waiting)
        except (PruneError, OSError) as error:
            problems.append(f"The store below {home} cannot be read: {error}")
            down = True
    if address is not None and not down and not any("device" in worker.resources for worker in workers):
        problems.append("No worker that computes runs is connected to the scheduler.")
    problems += [f"Worker {worker.name} has not been heard of for {worker.seen:.0f} s." for worker in workers
                 if worker.seen > _SILENT_SECONDS]
    return Health(state="down" if down else "degraded" if problems else "ok", problems=tuple(problems), scheduler=address,
                  versions={"prunescope": version, **_versions()}, workers=workers,
                  device=", ".join(visible_gpus()) or f"CPU ({platform.machine()})", store=kept, queue=waiting)


def _scheduler(home: Path) -> tuple[str | None, tuple[WorkerHealth, ...], list[str]]:
    """Address and workers; no address where none was started yet, which is no problem: the first page starts it."""
    address = cluster_status(home)["address"]
    if not isinstance(address, str):
        return None, (), []
    from distributed import Client

    try:
        with Client(address, timeout=_CONNECT_SECONDS, set_as_default=False, name="prunescope-health",
                    security=security(home, address)) as client:
            known = client.scheduler_info(n_workers=-1)["workers"]
            processing: Any = client.processing()
            given = {worker: tuple(map(str, names)) for worker, names in processing.items()}
            limits = device_workers(client)
    except Exception as error:
        return address, (), [f"The scheduler at {address} does not answer: {type(error).__name__}: {str(error)[:200]}"]
    return address, tuple(WorkerHealth(
        name=str(about["name"]), resources=tuple(about["resources"]), threads=about["nthreads"],
        memory=int(about.get("metrics", {}).get("memory", 0)), memory_limit=limits.get(place, about["memory_limit"] or None),
        seen=max(0.0, time.time() - about["last_seen"]), tasks=given.get(place, ())) for place, about in known.items()), []


def _store(store: Store) -> dict[str, object]:
    states = ("queued", "running", "finished", "failed", "cancelled")
    return {"home": str(store.home), "free_bytes": store.free_bytes(), "damage": list(store.damage()),
            "runs": {state: store.count((state,)) for state in states}}


def _troubles(store: Store, waiting: dict[str, object]) -> list[str]:
    told = list(store.damage())
    if store.free_bytes() < _ROOM:
        told.append(f"The disk below {store.home} is nearly full: {store.free_bytes() / 1e6:.0f} MB are free.")
    if waiting["paused_since"] is not None:
        told.append("The queue is paused: resume it on the Runs page, or by `python -m app.cluster resume`.")
    return told


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
