"""The pages' connection to the processes of app/workers/cluster.py: made in the background, and made again when it is lost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from app.workers import queue
from app.workers.cluster import ClusterError, ensure_beside, ensure_cluster, security
from app.workers.device_workers import device_workers, run_memory
from app.workers.homes import own_resource
from app.workers.identity import own_identity, refusals

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_SECONDS, _RETRY_SECONDS = 5.0, 5.0
_WATCH_SECONDS = 0.5
_ALONE_SECONDS = 15.0  # workers that have just been started are not missing
_LOOK_SECONDS = 5.0  # between two looks at whether all workers are still there, while somebody asks


class Connection:
    """A Dask client that is made in the background, and made again when the scheduler is lost. `on_connect` is called with
    each new client, `on_lost` when a scheduler is lost that nobody let go of. The first connection of a web
    server replaces workers that run other code, from before an update say; later ones take what there is, lest two fight.
    `answering`: this home's interactive worker is kept alive on a scheduler of one's own too."""

    def __init__(self, home: Path, on_connect: Callable[[Client], None], on_lost: Callable[[], None] = lambda: None, *,
                 answering: bool = False) -> None:
        self._home, self._on_connect, self._on_lost, self._answering = home, on_connect, on_lost, answering
        self._guard = threading.Lock()
        self._client: Client | None = None
        self._looking, self._closed = False, 0  # whether a thread looks; how often it was let go of
        self._asked = self._done = 0  # how often somebody said `mend`, and up to which of them a look that began later went well
        self._failed, self._looked, self._first = float("-inf"), float("-inf"), True
        self._measured: float = float("-inf")
        self._memory: int | None = None
        self._workers = 1
        self._alone: float | None = None  # since when no worker that computes runs is there
        self._refused: tuple[str, ...] = ()  # reasons why workers that are there take no runs
        self.error: str | None = None

    def client(self, *, mend: bool = False) -> Client | None:
        """The live client, or None: then a connection is being made, or `error` says why none can be. Never blocks.
        Whether all workers are still there is looked at in the background now and then. A scheduler that has lost them keeps what it
        is asked, and without this a page would wait for ever. `mend`: now, and again until it goes well, though nobody asks."""
        client, now = self._live(), time.monotonic()
        with self._guard:
            self._asked += mend
            due = (client is None or now > self._looked + _LOOK_SECONDS) and now > self._failed + _RETRY_SECONDS
            if (mend or due) and not self._looking:
                self._looking = True
                threading.Thread(target=self._look, args=(self._closed,), name="prunescope-connect", daemon=True).start()
        return client

    def wait(self, seconds: float = 60) -> Client:
        """The live client; waits for it. Raises ClusterError."""
        began = time.monotonic()
        while (client := self.client()) is None:
            if self._failed > began or time.monotonic() > began + seconds:
                raise ClusterError(self.error or "There is no connection to the scheduler yet.")
            time.sleep(0.02)
        return client

    def run_memory(self) -> int | None:
        """Bytes that a run may use on the largest device worker; None where that is not known or not limited. Asked now and then."""
        client, now = self._live(), time.monotonic()
        if client is not None and now > self._measured + _LOOK_SECONDS:
            self._measured = now
            with suppress(Exception):
                self._memory = run_memory(client)
                self._workers = len(device_workers(client))
                self._alone = None if self._workers else self._alone or now
                self._refused = refusals(client, own_identity()) if self._alone else ()
        return self._memory

    def workers(self) -> int:
        """Number of workers that compute runs; 1 where that is not known. Asked now and then."""
        self.run_memory()
        return max(1, self._workers)

    def no_worker(self) -> str | None:
        """Reason why no run is taken up though the scheduler answers; None where one can be. Asked now and then."""
        self.run_memory()
        if self._alone is None or time.monotonic() < self._alone + _ALONE_SECONDS:
            return None
        if self._refused:
            return " ".join(("No worker takes this run.", *self._refused))
        return ("No worker that computes runs is connected to the scheduler. " + (
            "Start one with `python -m app.workers worker` (docs/cluster.md)." if os.environ.get("PRUNESCOPE_SCHEDULER") else
            f"It is started again; if that fails, its log {self._home / 'logs' / 'device-0.log'} says why."))

    def resource(self, name: str) -> str:
        """Name of the resource of this home's interactive worker: `interactive`, or `quick`."""
        return own_resource(self._home, name)

    def tell_queue(self) -> None:
        """Have the keeper of the queue look at once, as soon as there is a connection; lost workers are replaced."""
        client = self.client(mend=True)
        if client is not None:
            with suppress(Exception):  # a scheduler that is just being lost: the next one looks by itself
                client.log_event(queue.TOPIC, "asked")

    def close(self) -> None:
        """Let go of the client; the cluster goes on."""
        with self._guard:
            self._done = self._asked
            self._closed += 1
        self._let_go()

    def _let_go(self) -> None:
        client, self._client = self._client, None
        with suppress(Exception):
            if client is not None:
                client.close(timeout=2)

    def _live(self) -> Client | None:
        client = self._client
        return client if client is not None and client.status == "running" else None

    def _look(self, closed: int) -> None:
        due = True
        while True:
            with self._guard:
                due = due and closed == self._closed
                self._looking = due or self._done < self._asked
                if not self._looking:
                    return
                asked = self._asked
            due = False
            if self._connect():
                with self._guard:
                    self._done = max(self._done, asked)
            else:
                time.sleep(_RETRY_SECONDS)

    def _connect(self) -> bool:
        try:
            address = ensure_cluster(self._home, renew=self._first)
            self._first, self._looked = False, time.monotonic()
            if self._live() is not None:
                self._keep_answering(address)
                return True
            self._let_go()
            from distributed import Client

            client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False, name="prunescope",
                            security=security(self._home, address))
            self._client = client  # before the hand-over: what is asked for meanwhile finds the client, or is handed over
            try:
                self._on_connect(client)
            except Exception:
                self._let_go()
                raise
            self._keep_answering(address)
            threading.Thread(target=self._watch, args=(client,), name="prunescope-watch", daemon=True).start()
        except Exception as error:  # whatever it is, it is shown, and tried again later
            self.error = (f"The worker processes, which compute, cannot be reached: {error}. The connection is tried again every "
                          f"{_RETRY_SECONDS:.0f} seconds. {_remedy()}")
            self._failed = time.monotonic()
            return False
        self.error = None
        return True

    def _keep_answering(self, address: str) -> None:
        if self._answering and os.environ.get("PRUNESCOPE_SCHEDULER"):
            ensure_beside(self._home, address)

    def _watch(self, client: Client) -> None:
        """Notice that the scheduler is lost, though nobody asks for anything."""
        while self._client is client and client.status == "running":
            time.sleep(_WATCH_SECONDS)
        if self._client is client:
            self._on_lost()


def _remedy() -> str:
    if os.environ.get("PRUNESCOPE_SCHEDULER"):
        return "Start that scheduler, set PRUNESCOPE_KEYS to the folder with its keys, or start PruneScope without PRUNESCOPE_SCHEDULER."
    return "If it stays so, `python -m app.cluster stop` ends what is left of them, and the next page starts new ones."
