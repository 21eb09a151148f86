"""The last solutions of layers: the views of a layer ask for the same one, one after the other."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from core.layer.solution import LayerSolution

SOLUTION_BYTES = 256 << 20


class SolutionMemory:
    """Keeps solutions by key, those asked for last, of at most SOLUTION_BYTES together. Any number of threads."""

    def __init__(self) -> None:
        self._solved: OrderedDict[tuple[object, ...], LayerSolution] = OrderedDict()
        self._guard = Lock()

    def get(self, key: tuple[object, ...]) -> LayerSolution | None:
        """The solution, if it is still there."""
        with self._guard:
            if key in self._solved:
                self._solved.move_to_end(key)
            return self._solved.get(key)

    def put(self, key: tuple[object, ...], solution: LayerSolution) -> None:
        """Keep it; the ones not asked for longest go."""
        with self._guard:
            self._solved[key] = solution
            size = sum(map(_bytes, self._solved.values()))
            while size > SOLUTION_BYTES and len(self._solved) > 1:
                size -= _bytes(self._solved.popitem(last=False)[1])


def _bytes(solution: LayerSolution) -> int:
    return solution.weight.nbytes + solution.pruned.nbytes
