"""Claims on jobs: of two schedulers that serve one store, on two hosts say, one computes a job. No torch.

    claim-NAME     the scheduler that has taken a job of this name        seat-SCHEDULER     a count that goes up while it has jobs

No clock is compared: a scheduler is taken for dead when its count has stood still for a while of the observer's own time.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from cache.rows import CheckedRows
from core.spec.base import FrozenModel

LAPSE = 120.0  # seconds without a beat after which the jobs of a scheduler are taken over
BEAT = 15.0  # seconds between two beats


class Claim(FrozenModel):
    """The seat that has taken a job."""

    seat: str


class Beat(FrozenModel):
    """The count of a seat."""

    count: int


class Claims:
    """Claims of one scheduler, named by its `seat`: the same for the scheduler that replaces it."""

    def __init__(self, rows: CheckedRows, seat: str) -> None:
        self._rows, self.seat = rows, seat
        self._beaten = float("-inf")
        self._seen: dict[str, tuple[int, float]] = {}  # of other seats: the last count, and since when it stands

    def beat(self) -> None:
        """Say that this scheduler is there. Raises DiskFull."""
        if time.monotonic() < self._beaten + BEAT:
            return
        self._beaten = time.monotonic()
        self._rows.set(f"seat-{self.seat}", Beat(count=self._count(self.seat) + 1).model_dump_json())

    def take(self, name: str) -> bool:
        """True if the job of this name is this scheduler's now. Raises DiskFull."""
        def work() -> bool:
            claim = self._rows.read(f"claim-{name}", Claim)
            if claim is not None and claim.seat != self.seat and not self._lapsed(claim.seat):
                return False
            if claim is None or claim.seat != self.seat:
                self._rows.set(f"claim-{name}", Claim(seat=self.seat).model_dump_json())
            return True

        return self._rows.atomically(work)

    def drop(self, kept: Collection[str]) -> None:
        """Forget claims on all jobs but these."""
        for row in [row for row in self._rows.all_keys() if row.startswith("claim-")]:
            if row.removeprefix("claim-") not in kept:
                self._rows.delete(row)

    def _lapsed(self, seat: str) -> bool:
        count, now = self._count(seat), time.monotonic()
        seen, since = self._seen.get(seat, (None, now))
        if seen != count:
            self._seen[seat] = count, now
            return False
        return now > since + LAPSE

    def _count(self, seat: str) -> int:
        found = self._rows.read(f"seat-{seat}", Beat)
        return found.count if found else 0
