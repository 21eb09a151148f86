"""Pattern and scores to a mask: the only place that chooses entries.

A mask is a bool tensor, True where the weight goes. Counts are exact; the smallest scores go first; equal scores go in the
order of (row, column). Scores are never negative except −1, which means 'before all others' (dead inputs).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from core.patterns import Columns, Entries, Groups, Target
from core.rows import choose_groups


def smallest(scores: Tensor, count: int | Tensor) -> Tensor:
    """Mask [c, b] with exactly `count` True: the smallest scores of the whole matrix. O(cb) on a CPU, one sort on a GPU.

    `count` may be a scalar integer tensor, so that a GPU's inner loop need not wait for the host.
    """
    threshold = _order_statistic(scores, count)
    if scores.is_cuda:
        chosen, ties = scores < threshold, scores == threshold
        ties &= ties.flatten().cumsum(0, dtype=torch.int32).view_as(ties) <= count - chosen.count_nonzero()
        return chosen.logical_or_(ties)
    chosen = scores <= threshold
    surplus = int(chosen.count_nonzero()) - int(count)
    if surplus:
        ties = (scores == threshold).view(-1).nonzero()[:, 0]  # few, mostly: no matrix of ranks
        chosen.view(-1)[ties[len(ties) - surplus :]] = False
    return chosen


def smallest_in_head(scores: Callable[[], Tensor], count: int | Tensor, width: int) -> Tensor:
    """The first `width` columns of `smallest(scores(), count)`, without a second matrix of that size on a CPU.

    `scores` makes a fresh contiguous [c, b] tensor, whose order is destroyed; it is asked again where a tie at the threshold
    has to be broken.
    """
    made = scores()
    if made.is_cuda or int(count) == 0:
        return smallest(made, count)[:, :width]
    place, head = int(count), made[:, :width].clone()
    flat = made.view(-1).numpy()
    flat.partition(place - 1)
    threshold = flat[place - 1]
    if np.count_nonzero(flat[place:] == threshold):  # a tie: some of the equal ones stay
        del made, flat
        return smallest(scores(), count)[:, :width]
    return head <= float(threshold)


def smallest_per_row(scores: Tensor, count: int) -> Tensor:
    """Mask [c, b] with exactly `count` True in every row."""
    if count == 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    threshold = scores.kthvalue(count, dim=1, keepdim=True).values
    chosen, ties = scores < threshold, scores == threshold
    ties &= ties.cumsum(1) <= count - chosen.sum(1, keepdim=True)
    return chosen.logical_or_(ties)


def smallest_in_groups(scores: Tensor, n: int, m: int) -> Tensor:
    """Mask [c, b] with n True in every m consecutive columns; a last group of fewer than m columns stays dense.

    An entry goes if fewer than n entries of its group come before it: m comparisons an entry, no sort.
    """
    if not scores.is_cuda:
        return choose_groups(scores, n, m)
    rows, columns = scores.shape
    whole = columns - columns % m
    groups = scores[:, :whole].reshape(rows, whole // m, m)
    before = torch.zeros(groups.shape, dtype=torch.int16, device=scores.device)
    for j in range(m):
        other = groups[:, :, j : j + 1]
        before += other < groups
        before[:, :, j + 1 :] += other == groups[:, :, j + 1 :]
    mask = torch.zeros_like(scores, dtype=torch.bool)
    mask[:, :whole] = (before < n).view(rows, whole)
    return mask


def smallest_columns(losses: Tensor, count: int) -> Tensor:
    """Mask [b] with exactly `count` True: the columns of least loss."""
    return smallest(losses[None], count)[0]


def select(scores: Tensor, target: Target, *, granularity: str = "layer") -> Tensor:
    """Mask [c, b] for a whole layer at once: by entries (per layer, or ⌊count/c⌋ per row), by groups, or by column means."""
    match target:
        case Groups(n=n, m=m):
            return smallest_in_groups(scores, n, m)
        case Columns(count=count):
            return smallest_columns(scores.mean(0), count).expand_as(scores).clone()
        case Entries(count=count) if granularity == "row":
            return smallest_per_row(scores, count // max(1, len(scores)))
        case Entries(count=count):
            return smallest(scores, count)


def select_part(scores: Tensor, target: Target, step: int, steps: int, *, granularity: str = "layer") -> Tensor:
    """Mask [c, b] of a target that grows: after `step` of `steps`, the share 1 − (1 − step/steps)³ of it, rounded down.

    Groups grow as a layer: the smallest scores go first, never more than n in a group. At the last step it is `select`.
    """
    if step >= steps:
        return select(scores, target, granularity=granularity)
    match target:
        case Groups(n=n, m=m):
            most = smallest_in_groups(scores, n, m)
            whole = len(scores) * (scores.shape[1] // m) * n
            others = ~most  # not by masked_fill, whose branches cannot be predicted: three times the time
            return smallest((scores * most).add_(others, alpha=torch.finfo(scores.dtype).max), _grown(whole, step, steps))
        case Columns(count=count):
            return select(scores, Columns(count=_grown(count, step, steps)))
        case Entries(count=count) if granularity == "row":
            return smallest_per_row(scores, _grown(count // max(1, len(scores)), step, steps))
        case Entries(count=count):
            return smallest(scores, _grown(count, step, steps))


def _grown(count: int, step: int, steps: int) -> int:
    """⌊count·(1 − (1 − step/steps)³)⌋ in integers (Zhu & Gupta 2017)."""
    return count * (steps**3 - (steps - step) ** 3) // steps**3


def share(target: Entries | Columns, stop: int, columns: int) -> int:
    """How much of the budget the first `stop` of all `columns` take, rounded down; all of it at the end."""
    return target.count * stop // columns


def _order_statistic(scores: Tensor, count: int | Tensor) -> Tensor:
    """The count-th smallest score as a scalar; below every score for count 0."""
    flat = scores.flatten()
    if scores.is_cuda:
        ordered = torch.cat([flat.new_full((1,), -torch.inf), flat.sort().values])
        return ordered[count] if isinstance(count, int) else ordered.index_select(0, count.view(1))[0]  # ordered[count] would read it
    place = int(count)
    if place == 0:
        return flat.new_tensor(-torch.inf)
    return flat.new_tensor(np.partition(flat.numpy(), place - 1)[place - 1])
