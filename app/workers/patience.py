"""Writes of a worker on a full disk: tried again until there is room, while somebody still wants them. No torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from cache.space import DiskFull
from core.spec.errors import Cancelled

if TYPE_CHECKING:
    from core.run.journal import BlockState
    from core.run.kept_blocks import BlockJournal

_Value = TypeVar("_Value")
RETRY_SECONDS = 2.0


def patiently(write: Callable[[], _Value], wanted: Callable[[], bool] = lambda: True,
              tell: Callable[[DiskFull], None] = lambda _: None) -> _Value:
    """The value of `write`, done again while the disk is full; `tell` hears why. Raises Cancelled once it is not wanted any more."""
    while True:
        try:
            return write()
        except DiskFull as error:
            tell(error)
        time.sleep(RETRY_SECONDS)
        if not wanted():
            raise Cancelled


class PatientJournal:
    """A journal whose blocks wait for room: core.run.journal.Journal."""

    def __init__(self, journal: BlockJournal, wanted: Callable[[], bool], tell: Callable[[DiskFull], None]) -> None:
        self._journal, self._wanted, self._tell = journal, wanted, tell

    def read(self, block: int) -> BlockState | None:
        """The finished block, its weights on the CPU, or None."""
        return self._journal.read(block)

    def write(self, block: int, state: BlockState) -> None:
        """Keep a finished block as soon as there is room for it."""
        patiently(lambda: self._journal.write(block, state), self._wanted, self._tell)
