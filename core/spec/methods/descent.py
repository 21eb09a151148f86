"""Methods that find the kept weights by iterations: both ADMMs and AdaPrune. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.spec.methods.base import Damped, Damping, Granular, Granularity, Iterations, Summary, named
from core.spec.patterns import Pattern


class _Admm(Granular, Damped):
    """Shared by both ADMMs: a factorization for all layers with an input, one product an iteration."""

    update_family = "admm"
    iterations: Iterations = 20
    damping: Damping = 0.1

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        return columns**3

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        return self.iterations * rows * columns**2


class Admm1(_Admm):
    """Wanda's mask; the kept weights by the alternating direction method of multipliers (Boža 2024)."""

    label, order, quick = "ADMM₁", 60, True
    summary = Summary("Wanda's", "ADMM", "20", "admm1.md")
    name: str = named("admm1")
    granularity: Granularity = "row"


class AdmmGrad(_Admm):
    """The alternating direction method of multipliers, which chooses its mask as it goes, more of it at each step (Boža 2024)."""

    label, order, quick = "ADMM-Grad", 70, True
    summary = Summary("grows", "ADMM", "20", "admm-grad.md")
    name: str = named("admm-grad")
    granularity: Granularity = "layer"


class AdaPrune(Granular):
    """A simple mask; the kept weights by gradient descent on the layer's error (Hubara et al. 2021)."""

    label, order = "AdaPrune", 80
    update_family = "gradient"
    summary = Summary(r"Wanda's or \|W\|", "gradient descent", "200", "adaprune.md")
    name: str = named("adaprune")
    mask: Literal["wanda", "magnitude"] = Field(default="wanda", title="Mask", description="Whose mask is kept.")
    granularity: Granularity = "row"
    optimizer: Literal["adam", "sgd"] = Field(default="adam", title="Optimizer", description="How the kept weights descend.")
    iterations: Iterations = 200
    learning_rate: float = Field(default=1.0, ge=0.001, le=1.9, title="Learning rate",
                                 description="Adam: times 1 % of the weights' root mean square. SGD: over the greatest curvature.")

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        return self.iterations * rows * columns**2


class Alps(Damped):
    """Mask and weights by alternating directions, with a penalty that rises as the mask settles (Meng et al. 2024)."""

    label, order = "ALPS", 95
    update_family = "admm"
    summary = Summary("ADMM's, until it rests", "ADMM, then conjugate gradients", "50 to 110", "alps.md")
    name: str = named("alps")
    iterations: Iterations = 300
    rho: float = Field(default=0.1, ge=1e-4, le=100, title="First penalty", description="ρ at the start; it follows the mask from there.",
                       json_schema_extra={"symbol": "ρ"})
    every: int = Field(default=3, ge=1, le=1000, title="Iterations between penalties", description="ρ is looked at after so many.")
    polish: int = Field(default=10, ge=0, le=1000, title="Polish", description="Conjugate gradient steps at the end.")
    damping: Damping = 0.01

    def shared_work(self, columns: int, pattern: Pattern) -> float:
        return 8 * columns**3  # an eigendecomposition, at a product's rate (measured)

    def layer_work(self, rows: int, columns: int, pattern: Pattern) -> float:
        seen = min(self.iterations, 25 * self.every)  # as many as were seen
        return (seen + self.polish) * rows * columns**2 + seen / self.every * columns**3
