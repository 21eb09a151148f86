"""One worker process: its store, its threads, the import of what computes, its errors in words. torch only inside functions."""

from __future__ import annotations

import logging
import threading
from functools import lru_cache

from app.workers.lanes import threads
from cache import Store
from core.spec.errors import PruneError

log = logging.getLogger("distributed.prunescope")  # below `distributed`, so that it reaches the worker's log
_importing = threading.Lock()
MEMORY_WORDS = ("The device ran out of memory. Lower the calibration windows or their length, choose a smaller model, or a device "
                "with more memory; finished blocks are kept, and the same run asked for again continues after them.")


def failure_words(error: BaseException) -> str:
    """Reason of a failure for the person who asked: our own errors unchanged, want of memory with what to lower, others by name."""
    if isinstance(error, PruneError):
        return str(error)
    text = str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in text:
        return MEMORY_WORDS
    return f"{type(error).__name__}: {text[:1000]}"


@lru_cache(maxsize=1)
def open_store() -> Store:
    """The store of this process."""
    return Store()


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
