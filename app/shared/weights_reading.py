"""Large files are read once before their content address is known: by a thread of the server, and what a page shows meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from app.shared import layout, numbers
from core.data.digests import digest
from core.data.files import Stamp

_POLL = 0.5
_guard = threading.Lock()
_readings: dict[tuple[Stamp, ...], _Reading] = {}


class _Reading:
    """Files that are being read, and how far."""

    def __init__(self, files: tuple[Stamp, ...]) -> None:
        self.files, self.read, self.problem = files, 0, ""
        self.thread = threading.Thread(target=self._run, daemon=True, name="weights")

    def _run(self) -> None:
        try:
            for known in self.files:
                digest(known, self._more)
        except OSError as error:
            self.problem = f"{error.filename or 'A file'} cannot be read: {error.strerror}. Mend that, and load this page again."

    def _more(self, count: int) -> None:
        self.read += count


def draw(files: Sequence[Stamp]) -> None:
    """Draw the progress of reading these files, and load the page anew at the end; begin to read where nobody has."""
    with _guard:
        found = _readings.get(tuple(files))
        if found is None:
            found = _readings[tuple(files)] = _Reading(tuple(files))
            found.thread.start()
    st.fragment(_draw, run_every=_POLL)(found)


def _draw(reading: _Reading) -> None:
    if reading.problem:
        layout.note(reading.problem, tone="bad", title="These files cannot be used.")
    elif reading.thread.is_alive():
        total = sum(known.size for known in reading.files)
        folder = Path(reading.files[0].path).parent.name
        layout.note(f"{numbers.size(total)} of {folder} are read once, so that results are kept by what the files hold. "
                    "Then this page goes on by itself, with its settings.", title="Reading the files.")
        st.progress(min(1.0, reading.read / total), text=f"{numbers.size(reading.read)} of {numbers.size(total)}")
    else:
        with _guard:
            _readings.pop(reading.files, None)
        st.rerun()
