"""The client of the interactive worker: ask, and look whether the answer is there. Answers are kept as long as the server lives.

A place on a page asks one question at a time: when a control moves on, what the place asked before is given up, and the worker ends
it between two steps. No torch.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from app.workers import process, sessions
from app.workers.questions import Question
from cache.keys import content_key
from core.records import Revisions
from core.run.revisions import revisions
from core.spec.errors import PruneError

if TYPE_CHECKING:
    from distributed import Client, Future

    from app.workers.connection import Connection

_MOST = 300  # answers kept
_QUICK = 10**12  # in priority: Dask looks at the first task that waits, and when its slot is taken at no other
_FETCH = 20.0  # seconds for an answer that is there to come over


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An answer, or that it is being computed, or why there is none. `lost`: for want of workers, which are looked for again."""

    state: Literal["computing", "ready", "failed"]
    answer: object = None
    error: str | None = None
    lost: bool = False


class Answers:
    """Questions by content. Safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._guard = threading.Lock()
        self._known: OrderedDict[str, object] = OrderedDict()
        self._asked: dict[str, Future] = {}
        self._places: dict[str, str] = {}

    def ask(self, question: Question, *, place: str, wait: float = 0.0) -> Asked:
        """The answer if it is known or comes within `wait` seconds. `place` names who asks: a session and a part of its page."""
        try:
            found = revisions(question.spec)
        except PruneError as error:
            return Asked(state="failed", error=str(error))
        key = content_key(type(question).__name__, question=question, revisions=found)
        with self._guard:
            if key in self._known:
                self._known.move_to_end(key)
                return _asked(self._known[key])
        client = self._connection.client()
        if client is None:
            if error := self._connection.error:
                return Asked(state="failed", error=error, lost=True)
            time.sleep(wait)
            return Asked(state="computing")
        return self._result(key, self._future(client, key, (question, found), place), wait)

    def give_up(self, place: str) -> None:
        """Nobody at this place waits any more for what it asked."""
        with self._guard:
            self._release(self._places.pop(place, None))

    def _release(self, key: str | None) -> None:
        """Let a question go that no place asks. The worker ends it between two steps, or never begins it."""
        if key in self._asked and key not in self._places.values():
            with suppress(Exception):
                self._asked.pop(key).release()

    def close(self) -> None:
        """Give up what is being asked."""
        with self._guard:
            self._asked.clear()

    def _future(self, client: Client, key: str, asked: tuple[Question, Revisions], place: str) -> Future:
        with self._guard:
            before, self._places[place] = self._places.get(place), key
            if before != key:
                self._release(before)
            future = self._asked.get(key)
            if future is None or future.client is not client or future.status in ("cancelled", "lost"):
                quick = asked[0].quick
                future = client.submit(sessions.answer, *asked, key=f"ask-{key}-{time.time_ns()}",
                                       resources={self._connection.resource("quick" if quick else "interactive"): 1},
                                       priority=round(time.time()) + _QUICK * quick, fifo_timeout="0 ms")
                self._asked[key] = future
            return future

    def _result(self, key: str, future: Future, wait: float) -> Asked:
        deadline = time.monotonic() + wait
        while not future.done() and time.monotonic() < deadline:
            time.sleep(0.004)
        if not future.done():
            return Asked(state="computing")
        # Only what is done is fetched, and with patience: a fetch that is given up before it began leaves distributed's client
        # (2026.8) with a canceled fetch that all later ones wait for, and each then ends in an UnboundLocalError.
        try:
            answer = future.result(timeout=_FETCH)
        except (CancelledError, OSError, TimeoutError, UnboundLocalError):
            # given up by another session's place, or the scheduler was lost: the next look asks again
            self._forget(key)
            return Asked(state="computing")
        except Exception as error:  # a worker that died several times
            self._forget(key)
            return Asked(state="failed", error=process.failure_words(error))
        self._forget(key)
        if not isinstance(answer, sessions.Failure):  # the reason of a failure may be gone the next time
            with self._guard:
                self._known[key] = answer
                while len(self._known) > _MOST:
                    self._known.popitem(last=False)
        return _asked(answer)

    def _forget(self, key: str) -> None:
        with self._guard:
            self._asked.pop(key, None)


def _asked(answer: object) -> Asked:
    return Asked(state="failed", error=answer.words) if isinstance(answer, sessions.Failure) else Asked(state="ready", answer=answer)
