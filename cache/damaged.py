"""Damage of a database in words, each with what to do."""

from __future__ import annotations

from pathlib import Path

from core.spec.errors import PruneError


class DamagedStore(PruneError):
    """A database that cannot be read or written, or one that is gone though it was there."""


def missing(file: Path) -> str:
    """Of a database that was there, and is empty or gone."""
    return (f"The database {file} is {'empty' if file.exists() else 'gone'}, and runs were kept in it. Put the folder {file.parent} back "
            "from a backup; or remove that folder, and PruneScope starts with an empty list.")


def unreadable(file: Path, error: Exception) -> str:
    """Of a database that does not open."""
    return f"The database {file} is damaged so that nothing of it can be read ({error}). {_remedy(file)}"


def partly_read(file: Path, error: Exception) -> str:
    """Of a database some pages of which cannot be read."""
    return f"The database {file} is damaged ({error}). What can be read is shown, the rest is missing. {_remedy(file)}"


def _remedy(file: Path) -> str:
    return f"Stop PruneScope and keep a copy of {file.parent}; then put that folder back from a backup, or remove it to start anew."
