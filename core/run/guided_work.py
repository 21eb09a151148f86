"""Progress of input-guided skipping, in tokens through blocks."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, float], None]  # what is being done, and the share of all that is done


class GuidedMeter:
    """Work done against work expected."""

    def __init__(self, report: Report) -> None:
        self._report, self._expected, self._done = report, 1.0, 0.0

    def expect(self, work: float) -> None:
        """All the work there is."""
        self._expected = max(1.0, work)

    def advance(self, work: float, words: str) -> None:
        """Some of it is done."""
        self._done += work
        self._report(words, min(1.0, self._done / self._expected))
