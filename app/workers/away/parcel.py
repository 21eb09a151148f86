"""Records that travel between the store's host and a worker of another home, as JSON. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from core.data.places import default_home
from core.spec import RunSpec
from core.spec.base import FrozenModel
from core.spec.errors import PruneError

PIECE = 8 << 20  # bytes sent or fetched at a time
INLINE = 64 << 10  # bytes up to which a row is part of the answer to a look


class Ticket(FrozenModel):
    """A job as it is handed over: its kind, run and attempt; the name of its task; the store it belongs to (app/workers/identity.py)."""

    kind: str
    key: str
    submitted: float
    name: str
    store: str


class SizedFile(FrozenModel):
    """A file of a folder, by its name there."""

    name: str
    size: int

    def require_plain(self) -> None:
        """Raises PruneError for a name that would lead out of the folder, or hide in it."""
        if Path(self.name).name != self.name or self.name.startswith("."):
            raise PruneError(f"{self.name!r} is no name of a file that can be received.")


class Input(FrozenModel):
    """A model or text that a run reads: its name in the spec, its content address, and its files where the store's host has them."""

    kind: Literal["model", "text"]
    name: str
    revision: str
    origin: Literal["demo", "folder", "hub", "text"]
    source: str = ""  # of a text, as the spec has it
    files: tuple[SizedFile, ...] = ()

    @property
    def bytes(self) -> int:
        """Size of all its files."""
        return sum(file.size for file in self.files)


class Parcel(FrozenModel):
    """All that a job needs besides files: what was asked for, known rows, and the finished blocks and inputs that can be sent."""

    spec: RunSpec
    record: str | None  # of the run, as JSON
    rows: dict[str, str]
    inputs: tuple[Input, ...]
    blocks: tuple[SizedFile, ...]
    core: int


class Want(FrozenModel):
    """A file that a worker lacks: `box` is "journal", or the content address of an input."""

    box: str
    file: SizedFile


class Item(FrozenModel):
    """Something that lies ready: a row (its text is `text` if it is short), a finished block's file, or a zip."""

    number: int
    kind: Literal["row", "block", "zip"]
    name: str
    size: int
    text: str | None = None


class Look(FrozenModel):
    """State of a desk, as its courier sees it. `room`: free bytes of the worker's disk, while it wants something."""

    stage: Literal["parcel", "sending", "computing"]
    wants: tuple[Want, ...] = ()
    room: int = 0
    items: tuple[Item, ...] = ()
    host: str = ""


def desk_topic(store: str) -> str:
    """Topic where the desks of a store's jobs ring."""
    return f"desk-{store}"


def away_folder() -> str:
    """Folder of the desks of this home."""
    return str(default_home() / "away")
