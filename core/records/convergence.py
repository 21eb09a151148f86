"""Errors of iterative updates by iteration. No torch."""

from __future__ import annotations

from typing import Literal

from core.spec.base import FrozenModel

DescentName = Literal["admm", "adam", "sgd", "cg"]
DESCENTS: dict[DescentName, str] = {"admm": "ADMM", "adam": "Adam", "sgd": "SGD", "cg": "Conjugate gradients"}


class Trace(FrozenModel):
    """One descent for a mask that is given. Entry k is after k iterations: relative error, and seconds so far without counting errors."""

    name: DescentName
    errors: tuple[float, ...]
    seconds: tuple[float, ...]

    def iterations_to(self, error: float) -> int | None:
        """After how many iterations its error is at most this for the first time; None if never."""
        return next((k for k, reached in enumerate(self.errors) if reached <= error), None)


class Convergence(FrozenModel):
    """Descents toward the least error of one mask; all begin at the weights with the mask removed."""

    traces: tuple[Trace, ...]
    sweep: float  # the relative error of SparseGPT's sweep on this mask, and its seconds with its factorization
    sweep_seconds: float
    optimum: float
    iterations: int
