"""The count-th smallest of many scores, exact, without sorting or copying them (CPU)."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import numpy as np
from torch import Tensor

from core.linalg.cpu.order_statistics import BITS, collect_range, count_range
from core.linalg.threads import array, map_row_ranges

_FEW = 1 << 16  # scores: fewer are partitioned as they are
_BATCHES = 16
_WORK = 4  # multiply-adds that a score is worth, about, each time it is made and put in its range


def order_statistic(values: Tensor, count: int, *, norm: Tensor | None = None, dead: Tensor | None = None,
                    start: int = 0) -> tuple[float, np.ndarray]:
    """The `count`-th smallest (from 1 on) of the scores of the columns from `start` on, and what equals it beyond the count.

    values [c, b] float32 or float64 are the scores: never negative but for −1; or, with norm [b] and dead [b], |W|·norm, −1 where dead.
    The second are places in [c, b − start], int64: of equal scores the last in the order of (row, column). Two passes over the values,
    and a partition of the few that share the first bits of the one sought.
    """
    weight = array(values)
    scale = np.empty(0, weight.dtype) if norm is None else array(norm)[start:]
    gone = np.empty(0, np.bool_) if dead is None else array(dead)[start:]
    size = len(weight) * (weight.shape[1] - start)
    if size <= _FEW:
        few = weight[:, start:] if norm is None else np.where(gone, -1, np.abs(weight[:, start:] * scale))
        return _nth(few.ravel(), count, None)
    batch = -(-len(weight) // _BATCHES)
    batches = -(-len(weight) // batch)
    bits = weight.dtype.itemsize * 8
    common = (weight, scale, gone, start, np.empty(0, f"int{bits}"), bits - 1 - BITS, batch)
    counts = np.zeros((batches, 1 << BITS), np.int32)
    map_row_ranges(count_range, (*common, counts), rows=batches, work=_WORK * size)
    below = counts.sum(0, dtype=np.int64).cumsum()
    wanted = int(np.searchsorted(below, count))
    ends = counts[:, wanted].cumsum(dtype=np.int64)
    found, places = np.empty(ends[-1], weight.dtype), np.empty(ends[-1], np.int64)
    map_row_ranges(collect_range, (*common, wanted, ends - counts[:, wanted], found, places), rows=batches, work=_WORK * size)
    return _nth(found, count - (int(below[wanted - 1]) if wanted else 0), places)


def _nth(scores: np.ndarray, count: int, places: np.ndarray | None) -> tuple[float, np.ndarray]:
    """The count-th smallest of scores [n], and the places (ascending; None: 0 … n−1) of what equals it beyond the count."""
    threshold = np.partition(scores, count - 1)[count - 1]
    equal = (scores == threshold).nonzero()[0][count - np.count_nonzero(scores < threshold) :]
    return float(threshold), equal if places is None else places[equal]
