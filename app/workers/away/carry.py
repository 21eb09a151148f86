"""The task that Dask is given for a job, and the functions by which the courier of a job speaks to its desk on a worker.

`look`, `give`, `receive`, `read`, `take` and `give_up` run in the worker's event loop: they only copy.
"""

from __future__ import annotations

import fcntl
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from app.workers.away.desk import Desk, Left
from app.workers.away.parcel import Parcel, Ticket, Want, away_folder
from app.workers.identity import store_token
from app.workers.kinds import TASKS
from core.data.places import default_home

log = logging.getLogger("distributed.prunescope")
_ANSWER = 60.0  # seconds within which a worker answers
_desks: dict[str, Desk] = {}


def carry(ticket_json: str) -> None:
    """The task of a job. What it achieves is in the store of its home, whatever it is."""
    ticket = Ticket.model_validate_json(ticket_json)
    if ticket.store == store_token(default_home()):
        TASKS[ticket.kind](ticket.key, ticket.submitted)
        return
    with _folder() as folder, suppress(Left):
        desk = _desks[ticket.name] = Desk(ticket, folder)
        try:
            desk.work()
        finally:
            desk.close()
            if _desks.get(ticket.name) is desk:
                del _desks[ticket.name]


def call(client: Any, address: str, function: Callable[..., Any], name: str, *arguments: Any) -> Any:
    """The value of one of the functions below for the desk of a task on a worker. Raises what distributed raises where it is lost."""
    return client.sync(client._run, function, name, *arguments, workers=[address], callback_timeout=_ANSWER)[address]


def look(name: str) -> str | None:
    """State of the desk of a task, as JSON; None where there is none on this worker."""
    desk = _desks.get(name)
    return None if desk is None else desk.look().model_dump_json()


def give(name: str, parcel_json: str) -> None:
    """Give a desk its parcel."""
    if desk := _desks.get(name):
        desk.give(Parcel.model_validate_json(parcel_json))


def receive(name: str, want_json: str, offset: int, piece: bytes) -> None:
    """Give a desk a piece of a file that it wants."""
    if desk := _desks.get(name):
        desk.receive(Want.model_validate_json(want_json), offset, piece)


def read(name: str, number: int, offset: int, length: int) -> bytes | None:
    """A piece of an item that lies ready; None where there is no such desk."""
    desk = _desks.get(name)
    return None if desk is None else desk.read(number, offset, length)


def take(name: str, numbers: list[int]) -> None:
    """Items of a desk have come home."""
    if desk := _desks.get(name):
        desk.take(numbers)


def give_up(name: str) -> None:
    """Nobody wants the job of a desk any more."""
    if desk := _desks.get(name):
        desk.give_up()


def clear_left() -> None:
    """Remove folders of desks whose process is gone: each is locked by the process that made it."""
    for folder in Path(away_folder()).glob("desk-*"):
        with suppress(OSError), (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _folder() -> Iterator[Path]:
    Path(away_folder()).mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix="desk-", dir=away_folder()))
    try:
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
