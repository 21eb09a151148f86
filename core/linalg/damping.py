"""Damping of a Gram matrix: H = G + λ·mean(diag G)·I."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from core.spec.errors import IllConditioned


def damp(gram: Tensor, damping: float) -> Tensor:
    """H = G + λ·mean(diag G)·I [b, b].

    A dead input (G_jj = 0) has no entry off the diagonal, so any positive diagonal leaves the others as they are: it gets
    λ·mean like the rest, and at λ = 0 the mean itself (1 where every input is dead).
    """
    hessian = gram.clone()
    hessian.diagonal().add_(damped(gram.diagonal(), damping))
    return hessian


def damped(diagonal: Tensor, damping: float) -> Tensor:
    """Increment of each entry of diag G [b] by damping."""
    mean = diagonal.mean()
    mean = torch.where(mean > 0, mean, torch.ones_like(mean))
    return torch.where(diagonal > 0, damping * mean, damping * mean if damping > 0 else mean)


Result = TypeVar("Result")


def with_raised_damping(attempt: Callable[[float], Result], damping: float, *, may_raise: bool) -> tuple[Result, float]:
    """`attempt(λ)` and the λ it took. With `may_raise`, an IllConditioned attempt is repeated at ten times λ, up to three times."""
    for _ in range(3 if may_raise else 0):
        try:
            return attempt(damping), damping
        except IllConditioned:
            damping = max(10 * damping, 0.001)
    return attempt(damping), damping
