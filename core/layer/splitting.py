"""ADMM on a layer's mask and weights together, with a penalty ρ that changes (Meng et al. 2024, Eq. 5 and 6).

With d_j = √H_jj, A = H/(d dᵀ) and T = W·d, minimizes tr((B−T)A(B−T)ᵀ) subject to B = D, D zero on a mask of the pattern:

    B ← T + ρ(D − Z − T)(A + ρI)⁻¹;   X = B + Z;   D ← the entries of X that the pattern keeps, the largest;   Z ← X − D

Z is the dual over ρ, so it is scaled by ρ/ρ′ when ρ becomes ρ′. X is all there is to keep: D is X on the kept entries, Z is X on the
others. Low ρ lets the mask move, high ρ makes it rest. Used by ALPS and by Frontier.

Where rows are coupled, tr(C(B−T)A(B−T)ᵀ) with C of unit diagonal, the first step is done in the eigenbases of C and A.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.layer.masks import clear, select
from core.layer.problem import LayerProblem
from core.linalg.cancellation import check_cancelled
from core.linalg.cholesky import cholesky
from core.linalg.products import product
from core.spec.patterns import Target

_KEPT_BYTES = 256 << 20  # of inverses for several ρ that layers with the same input share
Resolvent = Callable[[Tensor, float], Tensor]  # (R [c, b], ρ) -> ρ·R·(A + ρI)⁻¹


class Splitting:
    """State of one layer: X − T [c, b], and the mask that X asks for. Where nothing is pruned nothing moves."""

    def __init__(self, problem: LayerProblem, target: Target, damping: float, resolve: Resolvent) -> None:
        self._problem, self._target, self._resolve = problem, target, resolve
        self._scale = scale(problem, damping)
        self._start = problem.working_weight * self._scale
        self._dead = problem.shared(("dead inputs",), lambda: problem.dead.nonzero()[:, 0])
        self._moved = torch.zeros_like(self._start)  # X − T
        self._primal = self._moved  # B − T
        self._rho = 0.0
        self.pruned = self._select(self._start)

    def iterate(self, rho: float) -> None:
        """B, D and Z once: a c×b×b product, or what the resolvent takes."""
        check_cancelled()
        dual = (self._start + self._moved).mul_(self.pruned)
        ratio = self._rho / rho  # 0 at first: the dual starts at 0
        pull = torch.add(self._moved, dual, alpha=-1 - ratio)  # D − Z − T
        dual.mul_(ratio)
        self._rho = rho
        self._primal = self._resolve(pull, rho)
        self._moved = dual.add_(self._primal)
        self.pruned = self._select(self._start + self._moved)

    def solution(self) -> Tensor:
        """D/d [c, b] and zero on the mask."""
        return clear(self._problem.working_weight + self._moved / self._scale, self.pruned)

    def primal(self) -> tuple[Tensor, Tensor]:
        """B/d [c, b] on the entries that the pattern keeps of B, zero on the others, and these."""
        pruned = self._select(self._start + self._primal)
        return clear(self._problem.working_weight + self._primal / self._scale, pruned), pruned

    def _select(self, entries: Tensor) -> Tensor:
        return select(entries.square().index_fill_(1, self._dead, -1), self._target)


def scale(problem: LayerProblem, damping: float) -> Tensor:
    """d = √diag H [b]."""
    return problem.hessian(damping).diagonal().sqrt()


def _system(problem: LayerProblem, damping: float) -> Tensor:
    hessian = problem.hessian(damping)
    norm = hessian.diagonal().sqrt()
    return hessian / norm / norm[:, None]


def by_inverse(problem: LayerProblem, damping: float, count: int) -> Resolvent:
    """Products with (A + ρI)⁻¹, for ρ that all layers with this input have alike: `count` of them, b³ each.

    They are kept for the other layers where they fit in `_KEPT_BYTES`. Raises IllConditioned.
    """
    system = problem.shared(("splitting", damping), lambda: _system(problem, damping))
    share = count * system.numel() * system.element_size() <= _KEPT_BYTES
    held: dict[float, Tensor] = {}

    def invert(rho: float) -> Tensor:
        shifted = system.clone()
        shifted.diagonal().add_(rho)
        return torch.cholesky_inverse(cholesky(shifted, layer=problem.name, damping=damping))

    def resolve(pull: Tensor, rho: float) -> Tensor:
        if share:
            inverse = problem.shared(("resolvent", damping, rho), lambda: invert(rho))
        else:
            if rho not in held:
                held.clear()
                held[rho] = invert(rho)
            inverse = held[rho]
        return product(pull, inverse).mul_(rho)

    return resolve


def by_eigenvectors(problem: LayerProblem, damping: float) -> Resolvent:
    """For ρ that each layer finds for itself: one eigendecomposition for all layers with this input, and b³ for every other ρ."""
    values, vectors = _eigen(problem, damping)
    held: dict[float, Tensor] = {}

    def resolve(pull: Tensor, rho: float) -> Tensor:
        if rho not in held:
            held.clear()
            held[rho] = product(vectors * (rho / (values + rho)), vectors.T)
        return product(pull, held[rho])

    return resolve


def coupled(problem: LayerProblem, damping: float, coupling: Tensor) -> Resolvent:
    """ρR ↦ Y with C·Y·A + ρY = ρR: in the eigenbases, 2(c·b² + c²·b) each."""
    values, vectors = _eigen(problem, damping)
    weights, mixing = torch.linalg.eigh(coupling)
    both = weights.clamp(min=0)[:, None] * values

    def resolve(pull: Tensor, rho: float) -> Tensor:
        turned = product(mixing.T, product(pull, vectors))
        return product(mixing, product(turned.mul_(rho / (both + rho)), vectors.T))

    return resolve


def _eigen(problem: LayerProblem, damping: float) -> tuple[Tensor, Tensor]:
    """Eigenvalues of A [b], not negative, and its eigenvectors [b, b]."""
    def decompose() -> tuple[Tensor, Tensor]:
        values, vectors = torch.linalg.eigh(_system(problem, damping))
        return values.clamp(min=0), vectors
    return problem.shared(("eigenvectors", damping), decompose)
