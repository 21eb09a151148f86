"""The least-squares optimum of a mask: argmin f(Ŵ) with Ŵ zero on the mask."""

from __future__ import annotations

import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.layer.solution import LayerSolution
from core.linalg.conjugate_gradients import masked_cg
from core.spec.errors import BadInput


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


def optimum_error(problem: LayerProblem, solution: LayerSolution, *, tolerance: float = 1e-4, iterations: int = 100) -> float:
    """f*(M)/tr(WGWᵀ): the least relative error for the solution's mask, warm-started at its weights.

    Stops when an iteration gains less than `tolerance` of f, and never says more than the solution itself reached.
    """
    start = solution.weight.to(problem.dtype)
    _, error = masked_cg(problem.working_gram, problem.working_weight, start, solution.pruned,
                         iterations=iterations, tolerance=tolerance)
    return min(problem.relative(error.clamp(min=0)), solution.relative_error)
