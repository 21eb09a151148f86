"""Steps and outcomes of a kernel: the interface between `solve` and the methods."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache
from typing import Protocol, TypeVar

from torch import Tensor

from core.layer.problem import LayerProblem
from core.spec.methods import Method
from core.spec.patterns import Target

Ending = TypeVar("Ending")


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


class LazyStep:
    """A `Step` whose mask, weights and loss are computed when one of them is first read: `solve` reads none and pays nothing."""

    def __init__(self, columns: tuple[int, int], state: Callable[[], tuple[Tensor, Tensor, Tensor]]) -> None:
        self.columns = columns
        self._state = cache(state)

    @property
    def pruned(self) -> Tensor:
        return self._state()[0]

    @property
    def weight(self) -> Tensor:
        return self._state()[1]

    @property
    def loss(self) -> Tensor:
        return self._state()[2]


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """Result of a kernel: new weights [c, b], exactly 0 on the mask, that mask, and the damping used (None: the method has none)."""

    weight: Tensor
    pruned: Tensor
    damping: float | None = None


Steps = Generator[Step | LazyStep, None, Outcome]


class Kernel(Protocol):
    """`core/methods/<name>.py` offers this under the name `kernel`."""

    def __call__(self, problem: LayerProblem, target: Target, method: Method) -> Steps: ...


def drain(generator: Generator[object, None, Ending]) -> Ending:
    """Run a generator to its end and return its value."""
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return stop.value
