"""Zip files of pruned models: kept for a day below HOME/exports, within a bound; the oldest go first. No torch.

    HOME/exports/KEY.zip      exporting-KEY     the request it was made for, with the ticket that opens its address
    PRUNESCOPE_EXPORTS_GB     the bound of all zip files together, 50 by default
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from pathlib import Path

from pydantic import Field

from cache.keys import is_key
from cache.requests import Request, Requests
from cache.rows import CheckedRows
from core.spec.errors import BadInput

KEPT_SECONDS = 24 * 3600.0
_BOUND = "PRUNESCOPE_EXPORTS_GB"
_USUAL_GB = 50.0


class Export(Request):
    """An export that was asked for. Whoever knows the ticket may fetch the zip: a page shows it to those who may see the page."""

    name: str  # of the file that a browser saves, without its ending
    ticket: str = Field(default_factory=lambda: secrets.token_urlsafe(18))
    checked: str = ""  # the comparison of the written model with its run, in words


class Exports:
    """Exports of a store. Safe to share between threads and processes."""

    def __init__(self, home: Path, rows: CheckedRows) -> None:
        self.folder = home / "exports"
        self.requests = Requests(rows, "exporting", Export)

    def path(self, key: str) -> Path:
        """The place of a run's zip, whether it is there or not."""
        if not is_key(key):
            raise ValueError(f"not a key: {key!r}")
        return self.folder / f"{key}.zip"

    def ready(self, key: str) -> Path | None:
        """The zip of a run, if it is there, whole, and not too old."""
        path = self.path(key)
        request = self.requests.read(key)
        if request is None or request.state != "finished" or not path.is_file() or self.until(path) < time.time():
            return None
        return path

    def find(self, key: str, ticket: str) -> tuple[Path, Export] | None:
        """The zip of a run for whoever shows the request's ticket."""
        if not is_key(key):
            return None
        request, path = self.requests.read(key), self.ready(key)
        if request is None or path is None or not secrets.compare_digest(request.ticket.encode(), ticket.encode()):
            return None
        return path, request

    def until(self, path: Path) -> float:
        """Time at which a zip goes, in seconds since 1970."""
        return path.stat().st_mtime + KEPT_SECONDS

    def make_room(self, count: int) -> None:
        """Remove what is too old, then the oldest until `count` more bytes are within the bound. Raises BadInput where they never are."""
        bound = _bound()
        if count > bound:
            raise BadInput("zip", f"{count / 1e9:.1f} GB", f"at most {bound / 1e9:g} GB ({_BOUND})",
                           f"Start PruneScope with a larger {_BOUND}, or use the command line: python -m core prune … --save FOLDER.")
        self.tidy()
        kept = sorted(self.folder.glob("*.zip"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in kept)
        for path in kept:
            if total + count <= bound:
                break
            total -= path.stat().st_size
            path.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove zip files that are a day old, and what an interrupted export left behind."""
        now = time.time()
        for path in self.folder.glob("*") if self.folder.is_dir() else ():
            try:
                if self.until(path) < now:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            except FileNotFoundError:  # somebody else was quicker
                continue

    def delete(self, key: str) -> None:
        """Remove what belongs to a run."""
        if is_key(key):
            self.path(key).unlink(missing_ok=True)
        self.requests.delete(key)


def _bound() -> float:
    text = os.environ.get(_BOUND, "")
    try:
        gigabytes = float(text or _USUAL_GB)
    except ValueError:
        gigabytes = -1.0
    if not gigabytes >= 0:
        raise BadInput(_BOUND, text, "a number of gigabytes, 0 or more", "Change it, and start PruneScope again.")
    return gigabytes * 1e9
