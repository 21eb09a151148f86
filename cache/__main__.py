"""Cleaning of the store from a terminal; `python -m core clean` calls it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cache.retention import Entry, Policy, choose, remove, used_bytes
from cache.store import Store
from core.spec.errors import PruneError

_KINDS = {"run": "runs", "gram matrices": "Gram matrices", "left over": "left-over files"}


_Days = Annotated[float | None, typer.Option(help="Remove runs that ended, and Gram matrices made, more than so many days ago.")]
_Gigabytes = Annotated[float | None, typer.Option(help="Remove the oldest until so many gigabytes are kept.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without it, only what would be freed is said.")]


def clean(days: _Days = None, gigabytes: _Gigabytes = None, yes: _Yes = False) -> None:
    """Remove what is old or too much, but for pinned runs and those that are queued or running. Left-over files always go."""
    try:
        store = Store()
        entries = choose(store, Policy(days=days, gigabytes=gigabytes))
        before = used_bytes(store)
        sys.stdout.write(f"{store.home}: {_size(before)} in {store.count()} runs, blocks, Gram matrices and exports.\n")
        for kind, name in _KINDS.items():
            _tell(name, [entry for entry in entries if entry.kind == kind])
        if not yes:
            freed = sum(entry.bytes + entry.rows for entry in entries)
            sys.stdout.write(f"Would free about {_size(freed)}. " + ("Do it with --yes.\n" if entries else "Nothing to remove.\n"))
            return
        remove(store, entries)
        sys.stdout.write(f"Freed {_size(before - used_bytes(store))}.\n")
    except PruneError as error:
        sys.stderr.write(f"Error: {error}\n")
        raise typer.Exit(2) from error


def _tell(name: str, entries: list[Entry]) -> None:
    for why in sorted({entry.why for entry in entries}):
        chosen = [entry for entry in entries if entry.why == why]
        sys.stdout.write(f"  {len(chosen)} {name}, {_size(sum(entry.bytes + entry.rows for entry in chosen))}: {why}\n")


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if abs(count) >= 1e8 else f"{count / 1e6:.1f} MB"


if __name__ == "__main__":
    typer.run(clean)
