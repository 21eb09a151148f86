"""Guard of every solve: an update that does harm is never returned in silence.

Two results cost nothing to have: Z = W with the mask set to zero, and 0. With Δ = Ŵ − W an update has diverged

    in the layer, where  f(Ŵ) > f(Z)  or  f(Ŵ) > f(0),       f(Ŵ) = tr(ΔGΔᵀ)
    in row i, where its share of f(Ŵ) is more than twice its share of either

(single rows lose a few percent to a sweep in one direction, and stay as published). Such rows get the least-squares weights of their
mask, from Z on; where even these do not help, `Diverged` says so. A method without an update returns Z itself, and passes.

f(Ŵ) is counted anyway, by the product ΔG, and mostly bounds f(Z) from below: with x = Ŵ − Z and s = ⟨x, ΔG⟩ the inequality of
Cauchy and Schwarz gives f(Z) ≥ f(Ŵ) for s ≤ 0, f(Z) ≥ (f(Ŵ) − s)²/f(Ŵ) for every s. Only where that is not enough f(Z) takes a product:
first of every eighth row, which decides most layers, as f(Z) is mostly far above f(Ŵ).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.linalg.cancellation import check_cancelled
from core.linalg.conjugate_gradients import masked_cg
from core.linalg.products import product
from core.spec.errors import Diverged

_TIMES = 2.0  # a row's error over the lesser of the two, beyond which it has diverged
_ROUNDING = 1e-5  # of Σ_j W_ij² G_jj: differences below it are rounding, of weights in bfloat16 too
_LAYER = 1e-3  # relative rounding of sums over a layer
_ITERATIONS = 100  # conjugate gradients of a refit, at most
_ROWS_AT_ONCE = 1024
_FIRST = 8  # every so many rows are counted first


@dataclass(frozen=True, kw_only=True, eq=False)
class _Errors:
    """Each row's f(Ŵ) and s = ⟨x, ΔG⟩ [c]."""

    found: Tensor
    slope: Tensor

    @property
    def zeroed_at_least(self) -> Tensor:
        """The lower bound of f(Z) [c]."""
        bound = (self.found - self.slope).square() / self.found.clamp(min=torch.finfo(self.found.dtype).tiny)
        return torch.where(self.slope <= 0, torch.maximum(bound, self.found), bound)


def checked_error(problem: LayerProblem, weight: Tensor, pruned: Tensor, *, method: str, remedy: str,
                  couples: bool = False) -> tuple[Tensor, int]:
    """f(Ŵ), a float64 scalar, of the weights [c, b] found for the mask `pruned`, and how many rows were refitted, in place.

    With `couples` rows make up for each other where the output weights are a matrix V: then tr(VΔGΔᵀ) of the layer decides alone.
    One c×b×b product, as for f alone; a second where the bound does not decide. Raises Diverged.
    """
    errors = _errors(problem, weight, pruned)
    total = errors.found.sum(dtype=torch.float64).clamp(min=0)
    coupled = couples and problem.output_weight is not None and problem.output_weight.ndim == 2
    rows = _coupled_failures(problem, weight, pruned) if coupled else _failures(problem, pruned, errors)
    if not len(rows):
        return total, 0
    weight[rows] = _refitted(problem, pruned, rows).to(weight.dtype)
    before, errors = problem.relative(total), _errors(problem, weight, pruned)
    if len(_coupled_failures(problem, weight, pruned) if coupled else _failures(problem, pruned, errors)):
        raise Diverged(problem.name, method, before, remedy)
    return errors.found.sum(dtype=torch.float64).clamp(min=0), len(rows)


def remedy(solution_damping: float | None, learning_rate: float | None) -> str:
    """The advice for a method with this λ and learning rate."""
    if learning_rate is not None:
        return f"Lower the learning rate (it is {learning_rate:g})."
    more = "Use more calibration tokens than the layer has inputs."
    return more if solution_damping is None else f"Raise the damping (try λ = {max(10 * solution_damping, 0.01):g}). {more}"


def _errors(problem: LayerProblem, weight: Tensor, pruned: Tensor) -> _Errors:
    """Some rows at a time: no temporary the size of the layer."""
    gram, original, parts = problem.working_gram, problem.working_weight, list[tuple[Tensor, Tensor]]()
    for start in range(0, len(weight), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        check_cancelled()
        change = weight[rows].to(problem.dtype) - original[rows]
        pushed = product(change, gram)
        found = (pushed * change).sum(1)
        parts.append((found, change.mul_(~pruned[rows]).mul_(pushed).sum(1)))
    found, slopes = zip(*parts, strict=True)
    return _Errors(found=torch.cat(found), slope=torch.cat(slopes))


def _failures(problem: LayerProblem, pruned: Tensor, errors: _Errors) -> Tensor:
    """The rows that have diverged, int64; all that lose where the layer as a whole has."""
    found, least = errors.found, errors.zeroed_at_least
    slack = _ROUNDING * (problem.working_weight.square() @ problem.working_gram.diagonal().clamp(min=0))
    energy = problem.row_energy()
    moved = errors.slope != 0
    unsure = found > _TIMES * torch.minimum(least, energy) + slack
    whole = _lost(problem, found, least, slack)
    if not bool(whole | unsure.any()):
        return torch.arange(0, device=found.device)
    if bool(whole) and not found.is_cuda:
        unsure[::_FIRST] = True
        least = _exactly(problem, pruned, least, unsure)
        if bool(_lost(problem, found, least, slack)):
            least = _exactly(problem, pruned, least, ~unsure)
    else:
        least = _exactly(problem, pruned, least, unsure | whole)
    times = torch.where(_lost(problem, found, least, slack), 1.0, _TIMES)
    return (moved & (found > times * torch.minimum(least, energy) + slack)).nonzero()[:, 0]


def _lost(problem: LayerProblem, found: Tensor, zeroed: Tensor, slack: Tensor) -> Tensor:
    """True (a bool scalar) if the layer's error is above that of Z or of 0."""
    totals = [part.sum(dtype=torch.float64) for part in (found, zeroed, slack)]
    return totals[0] > (1 + _LAYER) * torch.minimum(totals[1], problem.energy()) + totals[2]


def _exactly(problem: LayerProblem, pruned: Tensor, least: Tensor, chosen: Tensor) -> Tensor:
    """`least` [c] with f(Z) itself in the rows that are chosen, bool [c]."""
    rows = chosen.nonzero()[:, 0]
    return least.index_copy(0, rows, _zeroed(problem, pruned, rows))


def _zeroed(problem: LayerProblem, pruned: Tensor, rows: Tensor) -> Tensor:
    """f(Z) of some rows [k]."""
    removed = problem.working_weight[rows] * pruned[rows]
    return (product(removed, problem.working_gram) * removed).sum(1)


def _coupled_failures(problem: LayerProblem, weight: Tensor, pruned: Tensor) -> Tensor:
    """All rows, or none: three products and as many of c×c×b."""
    original = problem.working_weight
    found, zeroed, nothing = (problem.weighted_error(some) for some in (weight, original * ~pruned, torch.zeros_like(original)))
    slack = _ROUNDING * (original.square() @ problem.working_gram.diagonal().clamp(min=0)).sum(dtype=torch.float64)
    failed = found > (1 + _LAYER) * torch.minimum(zeroed, nothing) + slack
    return torch.arange(len(weight) if bool(failed) else 0, device=weight.device)


def _refitted(problem: LayerProblem, pruned: Tensor, rows: Tensor) -> Tensor:
    """The least-squares weights [k, b] of some rows for their mask, from Z on."""
    original = problem.working_weight[rows]
    return masked_cg(problem.working_gram, original, original * ~pruned[rows], pruned[rows], iterations=_ITERATIONS, tolerance=1e-4)[0]
