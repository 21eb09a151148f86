"""Steps and outcomes of a kernel: the interface between `solve` and the methods."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from core.layer.problem import LayerProblem
from core.spec.methods import Method
from core.spec.patterns import Target


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """The state after a block of columns, of the rows that are not kept dense.

    `columns` [start, stop) were decided now, (0, 0) while a method goes weight by weight; `pruned` and `weight` [c, b] are live:
    clone them to keep them (with an `output_weight` the rows of `weight` are scaled by its root). `loss` is what the removals cost so
    far, tr(ΔHΔᵀ) (a scalar tensor), or None where a method moves no weight and so does not know it.
    """

    columns: tuple[int, int]
    pruned: Tensor
    weight: Tensor
    loss: Tensor | None


class LazyStep(Step):
    """A step whose `state`, (pruned, weight, loss), is computed when it is looked at: `solve` does not look, and pays nothing for it."""

    _state: Callable[[], tuple[Tensor, Tensor, Tensor]]

    def __init__(self, columns: tuple[int, int], state: Callable[[], tuple[Tensor, Tensor, Tensor]]) -> None:
        object.__setattr__(self, "_state", state)
        object.__setattr__(self, "columns", columns)

    def __getattr__(self, name: str) -> Tensor:
        if name not in ("pruned", "weight", "loss"):
            raise AttributeError(name)
        for field, value in zip(("pruned", "weight", "loss"), self._state(), strict=True):
            object.__setattr__(self, field, value)
        return getattr(self, name)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What a kernel returns: new weights [c, b], exactly 0 on the mask, that mask, and the damping it used (None: it has none)."""

    weight: Tensor
    pruned: Tensor
    damping: float | None = None


class Kernel(Protocol):
    """`core/methods/<name>.py` offers this under the name `kernel`."""

    def __call__(self, problem: LayerProblem, target: Target, method: Method) -> Generator[Step, None, Outcome]: ...
