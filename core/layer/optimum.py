"""The least-squares optimum of a mask: argmin f(Ŵ) with Ŵ zero on the mask."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.layer.row_samples import likely_rows, ratio_estimate
from core.layer.solution import LayerSolution
from core.linalg.conjugate_gradients import masked_cg
from core.spec.errors import BadInput

EXACT = 1 << 28  # multiply-adds c·b² of a product up to which a run computes the optimum of every row
FEWEST_ROWS = 16
PRODUCTS = 18  # c×b×b of the conjugate gradients of an optimum (measured: 14 to 27; up to _ITERATIONS with fewer tokens than inputs)
NARROW = 64  # rows: a product of fewer takes about as long, as it waits for G
_QUICK = 32
FEWEST_ITERATIONS = 8  # of conjugate gradients, for an estimate
_GAIN, _ITERATIONS = 1e-4, 100  # of `optimum_error`: least gain of an iteration as a share of f, most iterations


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """The least relative error for a mask; None: not computed. With `rows` it is an estimate from so many of them, and `spread` its
    standard error."""

    error: float | None
    rows: int | None = None
    spread: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Rows of a layer from which its optimum is taken, all that are pruned or fewer, and the most iterations of conjugate gradients."""

    rows: int
    iterations: int = _ITERATIONS


def check_mask(problem: LayerProblem, pruned: Tensor) -> None:
    """Raises BadInput for what is no mask of this layer."""
    if pruned.shape != problem.weight.shape or pruned.dtype != torch.bool or pruned.device != problem.weight.device:
        raise BadInput("pruned", f"{tuple(pruned.shape)} {pruned.dtype} on {pruned.device}",
                       f"bool {tuple(problem.weight.shape)} on {problem.weight.device}", "Pass this layer's mask.")


def optimum(problem: LayerProblem, pruned: Tensor, *, tolerance: float = 1e-12, iterations: int = 1000) -> Tensor:
    """The exact least-squares weights for a mask: argmin f(Ŵ) with Ŵ zero on `pruned` [c, b]; float64, undamped G.

    Masked conjugate gradients until an iteration gains less than `tolerance` of f; one c×b×b product each. Raises BadInput.
    """
    check_mask(problem, pruned)
    weight, gram = problem.weight.double(), problem.gram.double()
    start = weight.masked_fill(pruned, 0)
    return masked_cg(gram, weight, start, pruned, iterations=iterations, tolerance=tolerance)[0]


def optimum_error(problem: LayerProblem, solution: LayerSolution) -> float:
    """f*(M)/tr(WGWᵀ): the least relative error for the solution's mask, warm-started at its weights.

    Runs, previews and what-ifs all ask here, so one mask has one optimum. Stops when an iteration gains less than `_GAIN` of f, which is
    within 0.15 % of the least-squares solution on every layer of the demo model; never above what the solution itself reached.
    """
    start = solution.weight.to(problem.dtype)
    _, error = masked_cg(problem.working_gram, problem.working_weight, start, solution.pruned, iterations=_ITERATIONS, tolerance=_GAIN)
    return min(problem.relative(error.clamp(min=0)), solution.relative_error)


def estimated_optimum(problem: LayerProblem, solution: LayerSolution, sample: Sample) -> Optimum:
    """`optimum_error` from a sample of the rows that are pruned; of all where there are no more.

    The optimum takes each row on its own. With f_i the error of row i, f*_i its least and π_i the chance of row i, in proportion to its
    energy, the estimate is f·Σ(f*_i/π_i)/Σ(f_i/π_i) over the sample (a ratio estimator: Cochran 1977, Sampling Techniques, ch. 6 and 9A).
    Some 20 products of rows×b×b.
    """
    rows = sample.rows
    if rows >= len(solution.weight) - len(solution.dense_rows):
        return Optimum(error=optimum_error(problem, solution))
    chosen, chance = likely_rows(problem, solution.dense_rows, rows)
    if not len(chosen):  # no row puts anything out
        return Optimum(error=solution.relative_error)
    part = problem.with_weight(problem.weight[chosen])
    start = solution.weight[chosen]
    best, _ = masked_cg(part.working_gram, part.working_weight, start.to(part.dtype), solution.pruned[chosen], iterations=sample.iterations,
                        tolerance=_GAIN)
    own = part.row_errors(start).double().clamp(min=0)
    least = torch.minimum(part.row_errors(best).double().clamp(min=0), own)
    if not bool((own > 0).any()):
        return Optimum(error=solution.relative_error, rows=rows, spread=0.0)
    ratio, spread = ratio_estimate(least, own, chance, rows)
    return Optimum(error=ratio * solution.relative_error, rows=rows, spread=spread * solution.relative_error)


def optimum_rows(rows: int, columns: int, *, pruned: int, other_work: float, singular: bool = False) -> int:
    """Rows from which the optimum of a c×b layer is estimated, so that it costs at most a tenth of `other_work` multiply-adds (at least
    FEWEST_ROWS); all of its `pruned` rows where a product is small. `singular`: there are fewer tokens than inputs."""
    if rows * columns**2 <= EXACT:
        return pruned
    return min(pruned, max(FEWEST_ROWS, int(other_work / 10 / ((_ITERATIONS if singular else PRODUCTS) * columns**2))))


def quick_sample(rows: int, columns: int) -> Sample:
    """All rows of a layer whose products are small; of a large one so few that it is there in some seconds."""
    return Sample(rows=rows if rows * columns**2 <= EXACT else min(rows, _QUICK))


def optimum_iterations(rows: int, columns: int, *, chosen: int, other_work: float) -> int:
    """Most iterations for an optimum from `chosen` rows of a c×b layer, so that it costs at most a tenth of `other_work` also where these
    are as few as FEWEST_ROWS; 0 where that is too little for an estimate."""
    if rows * columns**2 <= EXACT or chosen >= NARROW:
        return _ITERATIONS
    allowed = int(other_work / 10 / (NARROW * columns**2))
    return min(_ITERATIONS, allowed) if allowed >= FEWEST_ITERATIONS else 0
