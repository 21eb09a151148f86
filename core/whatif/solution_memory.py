"""The last solutions of layers: the views of a layer ask for the same one, one after the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from core.layer.solution import LayerSolution
from core.spec import RunSpec

SOLUTION_BYTES = 256 << 20  # one of a layer of 4096×11008
LOOK_BYTES = 2 * SOLUTION_BYTES  # two, to compare their masks
Solved = TypeVar("Solved")


class SolutionMemory(Generic[Solved]):
    """Keeps solutions, or first looks, by layer and by what was asked; those asked for last, of at most `most` bytes together. Any number
    of threads. `size`: bytes of one."""

    def __init__(self, size: Callable[[Solved], int], most: Callable[[], int]) -> None:
        self._solved: OrderedDict[tuple[object, ...], Solved] = OrderedDict()
        self._guard, self._size, self._most = Lock(), size, most

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
            while size > self._most() and len(self._solved) > 1:
                size -= self._size(self._solved.popitem(last=False)[1])


def remembered_solutions() -> SolutionMemory[LayerSolution]:
    """A memory of solutions, of SOLUTION_BYTES."""
    return SolutionMemory(bytes_of, lambda: SOLUTION_BYTES)


def bytes_of(solution: LayerSolution) -> int:
    """Bytes of its weights and its mask."""
    return solution.weight.nbytes + solution.pruned.nbytes


def _key(name: str, spec: RunSpec) -> tuple[object, ...]:
    return name, spec.method, spec.pattern, spec.update, spec.refit, spec.fisher, spec.random_rows
