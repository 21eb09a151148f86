"""Record of a run in the store, besides its result: small, so that a list of hundreds is quick. No torch."""

from __future__ import annotations

import time
from typing import Literal

from pydantic import Field

from core.records import RunResult
from core.spec import RunSpec
from core.spec.base import FrozenModel

RunState = Literal["queued", "running", "finished", "failed", "cancelled"]
ACTIVE: frozenset[RunState] = frozenset({"queued", "running"})
LONGEST_NAME, LONGEST_NOTE = 80, 1000  # letters


class RunRecord(FrozenModel):
    """A run that was asked for. Times are seconds since 1970, UTC; `submitted` also tells one attempt from the next.

    `name` and `note` are a person's own words about the run, plain text; they are no part of its key and go when it is deleted.
    """

    key: str
    spec: RunSpec
    state: RunState
    submitted: float
    started: float | None = None
    ended: float | None = None
    error: str | None = None
    dense_perplexity: float | None = None
    pruned_perplexity: float | None = None
    counted_sparsity: float | None = None
    seconds: float | None = None
    pinned: bool = False
    group: str = ""  # of runs that were asked for together, or by one session: the queue takes turns between groups
    turn: tuple[str, float] | None = None  # group and moment by which the queue orders it, where somebody has moved it
    paused: bool = False  # while it is queued: not handed to a worker
    estimated: float | None = None  # seconds, from the plan when it was asked for
    name: str = Field(default="", max_length=LONGEST_NAME)
    note: str = Field(default="", max_length=LONGEST_NOTE)

    @property
    def active(self) -> bool:
        """True if it is queued or running."""
        return self.state in ACTIVE

    def named(self, name: str, note: str) -> RunRecord:
        """With these words about it: the name on one line, both without control characters and cut where they are too long."""
        plain = ["".join(letter for letter in text if letter == "\n" or letter.isprintable()) for text in (" ".join(name.split()), note)]
        return self.model_copy(update={"name": plain[0][:LONGEST_NAME], "note": plain[1].strip()[:LONGEST_NOTE]})

    def begun(self) -> RunRecord:
        """A worker has taken it up."""
        return self.model_copy(update={"state": "running", "started": time.time(), "paused": False})

    def cancelled(self) -> RunRecord:
        """Nobody wants it any more; its journal stays."""
        return self.model_copy(update={"state": "cancelled", "ended": time.time()})

    def failed(self, reason: str) -> RunRecord:
        """It cannot go on, for a reason in words."""
        return self.model_copy(update={"state": "failed", "ended": time.time(), "error": reason})

    def finished(self, result: RunResult) -> RunRecord:
        """Its result is there; the numbers that lists show are copied from it."""
        return self.model_copy(update={
            "state": "finished", "ended": self.ended or time.time(), "error": None, "dense_perplexity": result.dense.perplexity,
            "pruned_perplexity": result.pruned.perplexity, "counted_sparsity": result.counted_sparsity, "seconds": result.seconds})


class QueuePause(FrozenModel):
    """A queue of which nothing is handed to workers, and since when (seconds since 1970); None: it goes on."""

    since: float | None = None


def next_attempt(before: RunRecord | None) -> float:
    """Time of a new attempt: now, and after the one before by a millisecond at least, though the clock was set back meanwhile. Attempts
    of a run are told from one another by it."""
    return time.time() if before is None else max(time.time(), before.submitted + 0.002)
