"""ALPS: mask and weights by ADMM with a penalty that follows the mask, then conjugate gradients (Meng et al. 2024, Alg. 1 and 2).

Minimizes tr((Ŵ−W)H(Ŵ−W)ᵀ), H = G + λ·mean(diag G)·I, as core/layer/splitting.py says. Every `every` iterations ρ grows by a factor of
1.3, 1.2 or 1.1, as more than a tenth, half a percent, or any of the kept entries changed since; it ends when none did. Where the
mask has never moved, ρ was too high: a fifth of it, from the start. The mask is that of the last B; the weights are B's, refitted.

The authors give entries and n:m. Whole columns (those of the largest ‖X_j‖ stay) are the same projection on another set.
"""

from __future__ import annotations

from collections.abc import Generator

from torch import Tensor

from core.layer.problem import LayerProblem
from core.layer.splitting import Splitting, by_eigenvectors
from core.layer.steps import Outcome, Step
from core.linalg.conjugate_gradients import cg_steps
from core.linalg.products import product
from core.spec.methods import Alps
from core.spec.patterns import Target

_GROWTH = ((0.1, 1.3), (0.005, 1.2), (0.0, 1.1))  # changed entries over kept ones, more than; times ρ
_RESTART, _LEAST = 5.0, 1e-6  # below it the mask is settled from the start: inputs that are not correlated


def kernel(problem: LayerProblem, target: Target, method: Alps) -> Generator[Step, None, Outcome]:
    """An eigendecomposition of H, some 8·b³; c·b² an iteration, b³ when ρ changes; polish·c·b²."""
    weight, pruned = _split(problem, target, method)
    hessian = problem.hessian(method.damping)
    if bool(pruned.any()):
        residual = product(problem.working_weight - weight, hessian)
        cg_steps(hessian, weight, residual, pruned, iterations=method.polish)
    yield Step(columns=(0, weight.shape[1]), pruned=pruned, weight=weight, loss=None)
    return Outcome(weight=weight, pruned=pruned, damping=method.damping)


def _split(problem: LayerProblem, target: Target, method: Alps) -> tuple[Tensor, Tensor]:
    """B's largest entries [c, b] after at most `iterations` iterations, and the mask."""
    resolve = by_eigenvectors(problem, method.damping)
    state, rho, moved = Splitting(problem, target, method.damping, resolve), method.rho, False
    before, kept = state.pruned, int((~state.pruned).sum())
    if kept in (0, before.numel()):
        return state.primal()
    for iteration in range(1, method.iterations + 1):
        state.iterate(rho)
        if iteration % method.every:
            continue
        changed = int((state.pruned ^ before).sum())
        before = state.pruned
        if changed:
            moved = True
            rho *= next(factor for share, factor in _GROWTH if changed > share * kept)
        elif moved or rho < _LEAST:
            break
        else:
            rho /= _RESTART
            state = Splitting(problem, target, method.damping, resolve)
    return state.primal()
