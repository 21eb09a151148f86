"""Large files, read once to know them by their content (core/data/digests.py): by the interactive worker, with progress. No torch."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from app.workers import process
from app.workers.progress import events_of
from cache.keys import content_key
from core.data.digests import digest
from core.data.files import Stamp
from core.spec.base import FrozenModel

if TYPE_CHECKING:
    from distributed import Client, Future

    from app.workers.connection import Connection

_TELL_SECONDS = 0.3  # at most one word of progress in this time


class FilesRead(FrozenModel):
    """Progress of reading files: bytes, whether that has ended, and why it could not be done."""

    read: int = 0
    ended: bool = False
    problem: str = ""


class Readings:
    """Files that are being read, by their stamps. Safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._guard = threading.Lock()
        self._asked: dict[str, Future] = {}

    def look(self, files: Sequence[Stamp]) -> FilesRead | None:
        """Progress of reading these files, which is asked for where nobody has. None where there is no worker to ask."""
        client = self._connection.client()
        if client is None:
            return None
        name = f"read-{content_key('files', stamps='|'.join(map(str, files)))}"
        future = self._future(client, name, files)
        if future.status in ("cancelled", "lost"):
            with self._guard:
                self._asked.pop(name, None)
            return None
        if future.status == "pending":
            told = [int(text) for _, text in events_of(client, name)[-1:]]
            return FilesRead(read=told[0] if told else 0)
        try:
            problem = str(future.result(timeout=5))
        except (OSError, TimeoutError, CancelledError):
            return None
        except Exception as error:
            problem = process.failure_words(error)
        if not problem:
            with self._guard:
                self._asked.pop(name, None)
        return FilesRead(read=sum(known.size for known in files), ended=True, problem=problem)

    def _future(self, client: Client, name: str, files: Sequence[Stamp]) -> Future:
        with self._guard:
            future = self._asked.get(name)
            if future is None or future.client is not client:
                future = self._asked[name] = client.submit(
                    read_files, [tuple(known) for known in files], name, key=f"{name}-{time.time_ns()}", fifo_timeout="0 ms",
                    resources={self._connection.resource("interactive"): 1})
            return future


def read_files(stamps: Sequence[tuple[str, int, int, int, int]], topic: str) -> str:
    """Read files whose digests are not remembered yet, on the worker, and remember them; returns why one cannot be read, or ""."""
    from distributed import get_worker

    worker, read, told = get_worker(), 0, float("-inf")

    def tell(count: int) -> None:
        nonlocal read, told
        read += count
        if time.monotonic() > told + _TELL_SECONDS:
            told = time.monotonic()
            worker.log_event(topic, str(read))

    try:
        for known in stamps:
            digest(Stamp(*known), tell)
    except OSError as error:
        return f"{error.filename or 'A file'} cannot be read: {error.strerror}. Mend that, and load this page again."
    return ""
