"""Pattern and scores to a mask: the only place that chooses entries.

A mask is a bool tensor, True where the weight goes. Counts are exact; the smallest scores go first; equal scores go in the
order of (row, column). Scores are never negative except −1, which means 'before all others' (dead inputs).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from core.linalg.order_statistics import order_statistic
from core.linalg.rows import choose_groups
from core.spec.patterns import Columns, Entries, Groups, Target


def smallest(scores: Tensor, count: int | Tensor) -> Tensor:
    """Mask [c, b] with exactly `count` True: the smallest scores of the whole matrix. O(cb) on a CPU, one sort on a GPU.

    `count` may be a scalar integer tensor, so that a GPU's inner loop need not wait for the host.
    """
    if scores.is_cuda:
        ordered = torch.cat([scores.new_full((1,), -torch.inf), scores.flatten().sort().values])
        threshold = ordered[count] if isinstance(count, int) else ordered.index_select(0, count.view(1))  # ordered[count] would read it
        chosen, ties = scores < threshold, scores == threshold
        ties &= ties.flatten().cumsum(0, dtype=torch.int32).view_as(ties) <= count - chosen.count_nonzero()
        return chosen.logical_or_(ties)
    if int(count) == 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    threshold, surplus = order_statistic(scores, int(count))
    chosen = (scores <= threshold).contiguous()
    chosen.view(-1)[surplus] = False
    return chosen


def smallest_norms(weight: Tensor, norm: Tensor, dead: Tensor, count: int | Tensor, start: int, stop: int) -> Tensor:
    """The columns from `start` to `stop` of the mask of the `count` smallest |W_ij|·norm_j from `start` on, `dead` ones first.

    weight [c, b], norm and dead [b]. On a CPU the scores of the columns from `stop` on are not kept.
    """
    end, width = weight.shape[1] if weight.is_cuda else stop, stop - start
    gone = dead[start:end].to(weight.dtype)  # a dead input's norm is 0, so its score becomes −1
    scores = (weight[:, start:end] * norm[start:end]).abs_().sub_(gone)
    if weight.is_cuda or int(count) == 0:
        return smallest(scores, count)[:, :width]
    threshold, surplus = order_statistic(weight, int(count), norm=norm, dead=dead, start=start)
    rows, columns = np.divmod(surplus, weight.shape[1] - start)
    chosen, here = scores <= threshold, columns < width
    chosen[rows[here], columns[here]] = False
    return chosen


def smallest_per_row(scores: Tensor, count: int) -> Tensor:
    """Mask [c, b] with exactly `count` True in every row."""
    if count == 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    if not scores.is_cuda:
        return _chosen_per_row(scores, count)
    threshold = scores.kthvalue(count, dim=1, keepdim=True).values
    chosen, ties = scores < threshold, scores == threshold
    ties &= ties.cumsum(1) <= count - chosen.sum(1, keepdim=True)
    return chosen.logical_or_(ties)


def _chosen_per_row(scores: Tensor, count: int) -> Tensor:
    """The same by numpy, whose partition takes a tenth of torch's kthvalue; ties are looked for only where there are any."""
    mask = torch.empty(scores.shape, dtype=torch.bool)
    for part, chosen in zip(scores.numpy(), mask.numpy(), strict=True):
        threshold = np.partition(part, count - 1)[count - 1]
        np.less_equal(part, threshold, out=chosen)
        surplus = np.count_nonzero(chosen) - count
        if surplus:
            chosen[(part == threshold).nonzero()[0][-surplus:]] = False
    return mask


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


def smallest_columns(losses: Tensor, count: int, span: int = 1) -> Tensor:
    """Mask [b] with exactly `count` True: the columns of least loss, `span` consecutive ones together by the sum of their losses.

    Of such a unit dead columns count nothing; one of dead columns alone goes first.
    """
    if span == 1:
        return smallest(losses[None], count)[0]
    units = losses.view(-1, span)
    sums = units.clamp(min=0).sum(1).masked_fill_((units < 0).all(1), -1)
    return smallest(sums[None], count // span)[0].repeat_interleave(span)


def select(scores: Tensor, target: Target, *, granularity: str = "layer") -> Tensor:
    """Mask [c, b] for a whole layer at once: by entries (per layer, or ⌊count/c⌋ per row), by groups, or by column means."""
    match target:
        case Groups(n=n, m=m):
            return smallest_in_groups(scores, n, m)
        case Columns(chosen=chosen) if chosen is not None:
            mask = torch.zeros_like(scores, dtype=torch.bool)
            mask[:, list(chosen)] = True
            return mask
        case Columns(count=count, span=span):
            return smallest_columns(scores.mean(0), count, span).expand_as(scores).clone()
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
        case Columns(count=count, span=span):
            return select(scores, Columns(count=span * _grown(count // span, step, steps), span=span))
        case Entries(count=count) if granularity == "row":
            return smallest_per_row(scores, _grown(count // max(1, len(scores)), step, steps))
        case Entries(count=count):
            return smallest(scores, _grown(count, step, steps))


def clear(weight: Tensor, pruned: Tensor) -> Tensor:
    """`weight` [c, b], finite, in place: 0 where `pruned`.

    By a product: where a random mask is True cannot be predicted, and filling takes four times as long. 0 is added as −1·0 is −0.
    """
    return weight.mul_(~pruned).add_(0)


def _grown(count: int, step: int, steps: int) -> int:
    """⌊count·(1 − (1 − step/steps)³)⌋ in integers (Zhu & Gupta 2017)."""
    return count * (steps**3 - (steps - step) ** 3) // steps**3


def share(target: Entries | Columns, stop: int, columns: int) -> int:
    """Budget of the first `stop` of all `columns`, rounded down; all of it at the end."""
    return target.count * stop // columns

