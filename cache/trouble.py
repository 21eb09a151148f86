"""Reasons why a home cannot be opened, and damage in it, in words."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from cache.rows import CheckedRows


def trouble(home: Path, error: OSError | sqlite3.Error) -> str:
    """Reason why a home cannot be opened, in words where it is a common one."""
    file = next((path for path in (home, *home.parents) if path.exists() and not path.is_dir()), None)
    if file is not None:
        return f"{file} is a file, not a folder."
    place = next(path for path in (home / "store" / "records", *(home / "store" / "records").parents) if path.exists())
    if getattr(error, "errno", None) in (errno.EACCES, errno.EPERM, errno.EROFS) or not os.access(place, os.W_OK):
        return f"{place} may not be written by the user who runs PruneScope."
    return f"It cannot be opened: {error}."


def damage(home: Path, records: CheckedRows, documents: CheckedRows) -> tuple[str, ...]:
    """Damage that was met, and the remedy; empty for a store that is whole."""
    told = [rows.broken for rows in (records, documents) if rows.broken]
    lost = len(records.damaged) + len(documents.damaged)
    if lost:
        told.append(f"{lost} stored {'entry does' if lost == 1 else 'entries do'} not hold what was written, and "
                    f"{'counts' if lost == 1 else 'count'} as missing: the disk below {home} may be failing. Start the runs again that are "
                    "missing, and check the disk.")
    if not told and next(records.all_keys(), None) is None and any(key.startswith("result-") for key in documents.all_keys()):
        told.append(f"The list of runs in {records.folder} was emptied outside PruneScope; their results are still there. Put the folder "
                    "back from a backup, or start the runs again.")
    return tuple(told)
