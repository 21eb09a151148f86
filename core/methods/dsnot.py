"""DSnoT: a mask edited swap by swap, no weight moved (Zhang et al. 2024, Dynamic Sparse No Training, Eq. 3 to 6; docs/methods/dsnot.md).

With μ_k and σ²_k the mean and variance of input k over the calibration tokens, and S_r what row r has pruned, its output is short of

    e_r = E[(W_r − Ŵ_r)X] = Σ_{k∈S_r} W_rk·μ_k

on average. One cycle for a row, with s = sign(e_r):
    regrow   the pruned k with s·W_rk·μ_k > 0 of greatest s·W_rk·μ_k / σ²_k    (lowers |e_r| most, for inputs that vary least);
    prune    the kept j with s·W_rj·μ_j < 0 of least |W_rj|·√G_jj              (lowers |e_r| too, at the least Wanda score);
    then     e_r ← e_r − W_rk·μ_k + W_rj·μ_j.
A row stops at |e_r| ≤ ε·√(h_r/T), ε of the root mean square of its dense output; where a swap would not lower |e_r|; where there is
no such k or j; and after the cycles asked for. The paper's ε is 0.1 in the units of the outputs, the same for all rows; here a share
of the row's own, so that the layer's scale changes nothing. In n:m, j is of k's group, and only a k with such a j is regrown.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.layer.steps import Outcome, Step, Steps, drain
from core.methods import magnitude, sparsegpt, wanda
from core.spec.errors import BadInput
from core.spec.methods import Dsnot, make_method
from core.spec.patterns import Groups, Target

_KERNELS: dict[str, Callable[..., Steps]] = {"magnitude": magnitude.kernel, "wanda": wanda.kernel, "sparsegpt": sparsegpt.kernel}
_BOUT = 8  # cycles between two looks at which rows still have something to swap, on a GPU


def kernel(problem: LayerProblem, target: Target, method: Dsnot) -> Generator[Step, None, Outcome]:
    """The mask of `method.mask` with its defaults, then `cycles` swaps a row at most: O(cycles·c·b) beyond that mask's own work.

    Raises BadInput where the problem has no input means.
    """
    if problem.mean is None:
        raise BadInput("mean", None, "the mean of every input over the calibration tokens, [in]",
                       "DSnoT edits the mask by it: pass LayerProblem(..., mean=X.mean(1)).")
    begun = drain(_KERNELS[method.mask](problem, target, make_method(method.mask)))
    pruned = begun.pruned.clone()
    _swap(problem, problem.mean.to(problem.dtype), pruned, target.m if isinstance(target, Groups) else pruned.shape[1], method)
    weight = problem.working_weight.masked_fill(pruned, 0)
    yield Step(columns=(0, weight.shape[1]), pruned=pruned, weight=weight, loss=None)
    return Outcome(weight=weight, pruned=pruned, damping=begun.damping)


def _swap(problem: LayerProblem, mean: Tensor, pruned: Tensor, width: int, method: Dsnot) -> None:
    """Edit `pruned` [c, b] in place; a swap stays within `width` consecutive inputs."""
    weight, energy = problem.working_weight, problem.input_norm.square() / problem.tokens
    variance = (energy - mean.square()).clamp_(min=torch.finfo(mean.dtype).eps * energy).masked_fill_(problem.dead, 1)
    shares, scores = weight * mean, weight.abs() * problem.input_norm
    missing = (shares * pruned).sum(1)
    enough = method.threshold * (problem.row_energy().clamp(min=0) / problem.tokens).sqrt()
    rows, active = torch.arange(len(weight), device=weight.device), missing.abs() > enough
    group = torch.arange(weight.shape[1], device=weight.device) // width
    for cycle in range(method.cycles):
        if cycle % (_BOUT if weight.is_cuda else 1) == 0:
            rows = active.nonzero()[:, 0]
            if not len(rows):
                return
        mask, short = pruned[rows], missing[rows]
        gain = shares[rows] * short.sign()[:, None]
        useful = ~mask & (gain < 0)
        growth = (gain / variance).masked_fill_(~(mask & (gain > 0) & _in_groups(useful, width)), -torch.inf)
        grown = growth.argmax(1, keepdim=True)
        partners = useful & (group == group[grown])
        gone = scores[rows].masked_fill_(~partners, torch.inf).argmin(1, keepdim=True)
        after = short - shares[rows].gather(1, grown)[:, 0] + shares[rows].gather(1, gone)[:, 0]
        better = active[rows] & growth.gather(1, grown)[:, 0].isfinite() & (after.abs() < short.abs())
        mask.scatter_(1, grown, mask.gather(1, grown) & ~better[:, None]).scatter_(1, gone, mask.gather(1, gone) | better[:, None])
        pruned[rows], missing[rows] = mask, torch.where(better, after, short)
        active[rows] = better & (missing[rows].abs() > enough[rows])


def _in_groups(useful: Tensor, width: int) -> Tensor:
    """bool [c, b]: whether an entry's group of `width` consecutive inputs has a True in `useful`; False in a last short group."""
    rows, columns = useful.shape
    whole = columns - columns % width
    found = torch.zeros_like(useful)
    found[:, :whole] = useful[:, :whole].reshape(rows, whole // width, width).any(2).repeat_interleave(width, 1)
    return found
