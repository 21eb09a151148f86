"""One worker process: its store, its threads, the import of what computes, its errors in words. torch only inside functions."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

from app.workers.lanes import TERMINATE, threads
from cache import Store
from cache.space import DiskFull
from core.records import Plan
from core.run import memory
from core.spec import RunSpec
from core.spec.errors import BadInput, PruneError, is_out_of_memory

log = logging.getLogger("distributed.prunescope")  # below `distributed`, so that it reaches the worker's log
_ROOM_SECONDS = 2.0
_importing = threading.Lock()
MEMORY_WORDS = ("The device ran out of memory. Lower the calibration windows or their length, choose a smaller model, or a device "
                "with more memory; finished blocks are kept, and the same run asked for again continues after them.")


def failure_words(error: BaseException) -> str:
    """Reason of a failure for the person who asked: our own errors unchanged, want of memory with what to lower, others by name."""
    if isinstance(error, PruneError):
        return str(error)
    if is_out_of_memory(error):
        return MEMORY_WORDS
    return f"{type(error).__name__}: {str(error)[:1000]}"


def require_memory(plan: Plan, spec: RunSpec) -> None:
    """Raises BadInput where a run would outgrow this worker, which would end it, or its GPU."""
    if not plan.device.startswith("CPU"):
        import torch

        memory.require_memory(plan, spec, torch.cuda.get_device_properties(0).total_memory + plan.model_bytes, who="the GPU")
    elif limit := _memory_limit():
        memory.require_memory(plan, spec, round(limit * TERMINATE))


def _memory_limit() -> int | None:
    """Bytes at which this worker is ended; None for one without a limit, and in a process that is no worker."""
    from distributed import get_worker

    try:
        return get_worker().memory_manager.memory_limit
    except ValueError:
        return None


_apart: ContextVar[Store | None] = ContextVar("store_apart", default=None)


def open_store() -> Store:
    """The store that a task works on: this process's own, or the one of a job that came from another home."""
    return _apart.get() or own_store()


@contextmanager
def working_on(store: Store) -> Generator[None]:
    """Inside, in this thread, tasks work on this store."""
    token = _apart.set(store)
    try:
        yield
    finally:
        _apart.reset(token)


@lru_cache(maxsize=1)
def own_store() -> Store:
    """The store of this process's home; on a full disk as soon as there is room for it."""
    while True:
        try:
            return Store()
        except BadInput as error:
            if not isinstance(error.__cause__, DiskFull):
                raise
            log.warning("%s", error)
        time.sleep(_ROOM_SECONDS)


def use_all_cores() -> None:
    """Import what computes, and let it use the threads this worker has."""
    import_core()
    import torch

    torch.set_num_threads(threads())


def import_core() -> None:
    """Import what computes, once. transformers fills its names in while it is imported: a second thread would miss some."""
    with _importing:
        import core.run.pipeline
        import core.run.planning  # noqa: F401
