"""Ranges of rows on as many threads as torch uses. No row looks at another, so the split moves no bit."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from core.linalg.cancellation import check_cancelled

_SHARE, _SHARES = 1_000_000, 3  # multiply-adds of a range, at least; ranges of a thread, so that one that wakes late takes fewer
_PIECE = 200_000_000  # multiply-adds, some hundredths of a second: so long nobody looks up whether the rows are still wanted


def map_row_ranges(kernel: Callable[..., None], arguments: tuple[Tensor | np.ndarray | float, ...], *, rows: int, work: int) -> None:
    """`kernel(*arguments, first, last)` over ranges that cover all rows, on threads where the work (multiply-adds) is worth it.

    Tensors are given as numpy arrays. Raises Cancelled between two ranges once nobody waits any more.
    """
    arrays: list[np.ndarray | float] = [array(value) if isinstance(value, Tensor) else value for value in arguments]
    threads = max(1, min(torch.get_num_threads(), rows, 1 + work // 100_000))
    shares = 1 if threads == 1 else min(_SHARES, 1 + work // threads // _SHARE)
    pieces = max(1, min(rows, threads * max(shares, work // threads // _PIECE)))
    bounds = [rows * i // pieces for i in range(pieces + 1)]
    left = deque(pairwise(bounds))

    def take() -> None:
        for first, last in _taken(left):
            check_cancelled()
            kernel(*arrays, first, last)

    others = [_pool(threads).submit(copy_context().run, take) for _ in range(threads - 1)]  # whom they compute for is in the context
    try:
        take()
    finally:
        left.clear()
        begun = [other for other in others if not other.cancel()]  # one that has not begun has nothing left to take
        wait(begun)
    for other in begun:
        other.result()


def turns(times: int, work: int) -> Iterator[tuple[int, int]]:
    """(how many before, how many now) of so many iterations of `work` multiply-adds each, a piece at a time."""
    most = max(1, _PIECE // work)
    for before in range(0, times, most):
        yield before, min(most, times - before)


def array(value: Tensor) -> np.ndarray:
    """The tensor's memory where it is contiguous (outputs are), else a copy."""
    return value.contiguous().numpy()


def _taken(left: deque[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Ranges that are left, one for each thread that takes some."""
    while True:
        try:
            yield left.popleft()
        except IndexError:
            return


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="rows")
