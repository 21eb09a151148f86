"""Tasks of the workers, and which workers there are. The web server imports this: torch is imported inside functions only.

The record in the store is the one truth about a run: a task looks at it between events, and stops as soon as the run was
cancelled, deleted or asked for again. The journal stays, so that asking again continues.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from cache import RunRecord, Store, dense_key, plan_key, run_key
from core.models.inputs import require_same
from core.records import Event, Finished, LayerPruned, Progress, RunResult, Started
from core.run.revisions import revisions
from core.spec import RunSpec
from core.spec.errors import PruneError

if TYPE_CHECKING:
    from collections.abc import Generator

    from distributed import Worker

log = logging.getLogger("distributed.prunescope")  # below `distributed`, so that it reaches the worker's log

_importing = threading.Lock()
PROGRESS_SECONDS = 0.3  # at most one progress event in this time
MEMORY_WORDS = ("The device ran out of memory. Lower the calibration windows or their length, choose a smaller model, or a device "
                "with more memory; finished blocks are kept, and the same run asked for again continues after them.")


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A worker to start: what it computes, one thread for each of `resources`; its share of the machine's memory, the GPU it sees."""

    name: str
    resources: tuple[str, ...]
    memory: float
    gpu: str | None


def visible_gpus() -> tuple[str, ...]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them. Asks nvidia-smi, not torch."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        names = [name.strip() for name in chosen.split(",")]
        return tuple(name for name in names if name and name != "-1" and name.lower() != "none")
    with suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
        return tuple(re.findall(r"UUID: (MIG-[^)\s]+)", listed) or re.findall(r"UUID: (GPU-[^)\s]+)", listed))
    return ()


def lanes() -> tuple[Lane, ...]:
    """One device worker for each GPU, or one for the CPU; one interactive worker, which answers quick questions beside others."""
    gpus = visible_gpus()
    devices = [Lane(name=f"device-{i}", resources=("device",), memory=0.75 / max(1, len(gpus)), gpu=gpu)
               for i, gpu in enumerate(gpus or (None,))]
    return (*devices, Lane(name="interactive-0", resources=("interactive", "quick"), memory=0.25, gpu=devices[-1].gpu))


def threads() -> int:
    """Threads of a worker: PRUNESCOPE_THREADS, or as many as the cores that this process may use."""
    from dask.system import CPU_COUNT

    return int(os.environ.get("PRUNESCOPE_THREADS") or CPU_COUNT)


def topics(name: str) -> tuple[str, str]:
    """Topics where the task of this name announces its layers (few, all kept) and its progress (many, the latest counts)."""
    return f"{name}-layers", f"{name}-progress"


def task_name(record: RunRecord) -> str:
    """The name of a run's task: the same for the same attempt, so that handing it over twice computes it once."""
    return f"run-{record.key}-{round(record.submitted * 1000)}"


def run(key: str, attempt: float) -> None:
    """Compute a run, from its journal on where there is one. The outcome goes into the store, whatever it is. `attempt` is when
    the run was asked for: one that was cancelled since, or asked for again, is not computed."""
    store = open_store()
    record = store.change_record(key, lambda record: record.begun() if record and _wanted(record, attempt) else None)
    if record is None or not _wanted(record, attempt):
        return
    try:
        result = store.result(key) or _follow(store, record)
        if result is not None:
            store.put_result(key, result)
            store.change_record(key, lambda record: record and record.finished(result))
        if store.record(key) is None:
            store.delete(key)  # deleted while it ran: what was still written goes too
    except Exception as error:
        log.exception("run %s failed", key)
        reason = failure_words(error)
        store.change_record(key, lambda record: record.failed(reason) if record and _wanted(record, attempt) else None)
    finally:
        _free_memory()


def plan(spec_json: str) -> str | None:
    """Put the plan of a spec into the store; returns None, or why there is none."""
    try:
        use_all_cores()
        from core.run.planning import plan as make_plan

        spec = RunSpec.model_validate_json(spec_json)
        found = revisions(spec)
        made = make_plan(spec)
        require_same(found.model_dump(), revisions(spec).model_dump(), spec)
        open_store().put_plan(plan_key(spec, found), made)
    except Exception as error:
        log.exception("plan failed")
        return failure_words(error)
    return None


def failure_words(error: BaseException) -> str:
    """Reason of a failure for the person who asked: our own errors unchanged, want of memory with what to lower, others by name."""
    if isinstance(error, PruneError):
        return str(error)
    text = str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in text:
        return MEMORY_WORDS
    return f"{type(error).__name__}: {text[:1000]}"


def dask_setup(worker: Worker) -> None:
    """Called by Dask in each new worker process: import torch while nobody waits yet; for what-ifs, open the demo. Runs leave the
    cores to what a page waits for."""
    sys.setswitchinterval(5e-4)  # seconds: several threads call short kernels, and each comes back to an interpreter that another holds
    what_ifs = "interactive" in worker.state.total_resources
    if not what_ifs:
        os.nice(15)
    threading.Thread(target=_warm, args=(what_ifs,), name="prunescope-warm", daemon=True).start()


def _follow(store: Store, record: RunRecord) -> RunResult | None:
    """The result, or None if the run is not wanted any more."""
    use_all_cores()
    from core.run.pipeline import prune

    spec = record.spec
    found = revisions(spec)
    if run_key(spec, found) != record.key:
        raise PruneError("The model or a text has changed since this run was asked for. Ask for it again.")
    dense = dense_key(spec, found)
    announce = _Announcer(task_name(record))
    events = prune(spec, journal=store.journal(record.key), dense=store.dense(dense), expected=found)
    for event in events:
        if isinstance(event, Finished):
            store.put_dense(dense, event.result.dense)
            return event.result
        announce(event)
        if not _wanted(store.record(record.key), record.submitted):
            cast("Generator[Event]", events).close()
            return None
    raise RuntimeError("the pipeline ended without a result")


class _Announcer:
    """Sends a run's events to the scheduler, where any web server finds them."""

    def __init__(self, name: str) -> None:
        from distributed import get_worker

        self._layers, self._progress = topics(name)
        self._worker = get_worker()
        self._last = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started | LayerPruned):
            self._worker.log_event(self._layers, event.model_dump_json())
        elif isinstance(event, Progress) and time.monotonic() >= self._last + PROGRESS_SECONDS:
            self._last = time.monotonic()
            self._worker.log_event(self._progress, event.model_dump_json())


def _wanted(record: RunRecord | None, attempt: float) -> bool:
    return record is not None and record.active and record.submitted == attempt


@lru_cache(maxsize=1)
def open_store() -> Store:
    """The store of this process."""
    return Store()


def use_all_cores() -> None:
    """Import what computes, and let it use the threads this worker has."""
    _import_core()
    import torch

    torch.set_num_threads(threads())


def _warm(what_ifs: bool) -> None:
    try:
        if what_ifs and not os.environ.get("PRUNESCOPE_COLD"):
            from app.workers.sessions import open_first

            open_first(RunSpec())
            see_rate(open_store())
        else:
            _import_core()
    except Exception:
        log.exception("a worker could not be made ready")


def see_rate(store: Store) -> None:
    """Measure the device's rate, now that little else is computed: plans asked for at the start were made while all cores were busy."""
    use_all_cores()
    from core.models.cost import matrix_rate
    from core.models.device import choose_device, device_name

    device = choose_device("auto")
    store.put_rate(device_name(device), matrix_rate(device))


def _import_core() -> None:
    """Import what computes, once. transformers fills its names in while it is imported: a second thread would miss some."""
    with _importing:
        import core.run.pipeline
        import core.run.planning  # noqa: F401


def _free_memory() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
