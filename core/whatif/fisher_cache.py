"""Cache of Fisher weights of a dense model by strength (core/whatif/session.py)."""

from __future__ import annotations

from collections.abc import Generator
from threading import Lock

from torch import Tensor

from core.models.open_model import OpenModel
from core.run.fisher import fisher, weigh


class FisherCache:
    """Measured when first asked for, then kept; any number of threads may ask what it has."""

    def __init__(self, opened: OpenModel) -> None:
        self._opened = opened
        self._fisher: dict[bool, dict[str, Tensor]] = {}  # coupled or not -> F of every layer
        self._made: dict[tuple[str, bool], Tensor] = {}  # of the last strength
        self._strength = 0.0
        self._guard = Lock()

    def measure(self, *, coupled: bool) -> Generator[int]:
        """Yields between blocks, as `fisher`; all of F has its diagonal too."""
        if coupled not in self._fisher and True not in self._fisher:
            self._fisher[coupled] = yield from fisher(self._opened, self._opened.block_map, coupled=coupled)

    def of(self, name: str, strength: float, *, coupled: bool) -> Tensor:
        """A layer's weights [c] or [c, c], as a run weighs them; after `measure`."""
        with self._guard:
            if strength != self._strength:
                self._made.clear()
                self._strength = strength
            known = self._made.get((name, coupled))
        if known is None:
            total = self._fisher.get(coupled, self._fisher.get(True, {}))[name]
            known = weigh(total if coupled or total.ndim == 1 else total.diagonal(), strength)
            with self._guard:
                if strength == self._strength:
                    self._made[name, coupled] = known
        return known
