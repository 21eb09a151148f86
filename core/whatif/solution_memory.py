"""The last solutions of layers: the views of a layer ask for the same one, one after the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from core.layer.solution import LayerSolution
from core.spec import RunSpec

SOLUTION_BYTES = 512 << 20  # two of a layer of 4096×11008
Solved = TypeVar("Solved")


class SolutionMemory(Generic[Solved]):
    """Keeps solutions, or first looks, by layer and by what was asked; those asked for last, of at most SOLUTION_BYTES together. Any number
    of threads. `size`: bytes of one."""

    def __init__(self, size: Callable[[Solved], int]) -> None:
        self._solved: OrderedDict[tuple[object, ...], Solved] = OrderedDict()
        self._guard, self._size = Lock(), size

    def known(self, name: str, spec: RunSpec) -> Solved | None:
        """The solution, if it is still there."""
        key = _key(name, spec)
        with self._guard:
            if key in self._solved:
                self._solved.move_to_end(key)
            return self._solved.get(key)

    def made(self, name: str, spec: RunSpec, make: Callable[[], Solved]) -> Solved:
        """The solution, made if need be; the ones not asked for longest go."""
        found = self.known(name, spec)
        if found is None:
            found = make()
            self._put(_key(name, spec), found)
        return found

    def _put(self, key: tuple[object, ...], solution: Solved) -> None:
        with self._guard:
            self._solved[key] = solution
            size = sum(map(self._size, self._solved.values()))
            while size > SOLUTION_BYTES and len(self._solved) > 1:
                size -= self._size(self._solved.popitem(last=False)[1])


def bytes_of(solution: LayerSolution) -> int:
    """Bytes of its weights and its mask."""
    return solution.weight.nbytes + solution.pruned.nbytes


def _key(name: str, spec: RunSpec) -> tuple[object, ...]:
    return name, spec.method, spec.pattern, spec.update, spec.refit, spec.fisher, spec.random_rows
