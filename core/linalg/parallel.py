"""Work on many layers at once: a core for each, since the products of one small layer do not keep several cores busy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import torch

Item = TypeVar("Item")
Made = TypeVar("Made")


def map_layers(work: Callable[[Item], Made], items: Sequence[Item], device: torch.device) -> list[Made]:
    """work(item) for every item, in the order given: on a CPU on as many threads as torch uses, each computing with one.

    Begin with the longest. What `work` raises is raised here, and what has not begun then never does. On a GPU one after the other.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1 or len(items) < 2:
        return [work(item) for item in items]
    futures = [_pool(threads).submit(work, item) for item in items]
    try:
        return [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()
        wait(futures)
        torch.set_num_threads(threads)  # a thread of the pool that began just now has set what new threads start with


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="layers", initializer=torch.set_num_threads, initargs=(1,))
