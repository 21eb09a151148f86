"""Large files are read once before their content address is known: by a worker, and what a page shows meanwhile.

Where no worker can be asked, a thread of the server reads them: nothing on the page needs a worker to go on.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from app.shared import layout, numbers, resources
from app.workers.reading import FilesRead
from core.data.digests import digest, remembered
from core.data.files import Stamp

_POLL = 0.5
_guard = threading.Lock()
_readings: dict[tuple[Stamp, ...], _Reading] = {}


class _Reading:
    """Files that a thread of the server reads, and how far."""

    def __init__(self, files: tuple[Stamp, ...]) -> None:
        self.files, self.read, self.problem = files, 0, ""
        self.thread = threading.Thread(target=self._run, daemon=True, name="weights")
        self.thread.start()

    @property
    def state(self) -> FilesRead:
        return FilesRead(read=self.read, ended=not self.thread.is_alive(), problem=self.problem)

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
    st.fragment(_draw, run_every=_POLL)(tuple(files))


def _look(files: tuple[Stamp, ...]) -> FilesRead:
    with _guard:
        if files not in _readings:
            found = resources.jobs().readings.look(files)
            kept = found is None or not found.ended or all(remembered(known) for known in files)
            if found is not None and (found.problem or kept):
                return found
            _readings[files] = _Reading(files)  # nobody to ask, or a disk so full that what the worker has read cannot be kept there
        state = _readings[files].state
        if state.ended and not state.problem:
            del _readings[files]
        return state


def _draw(files: tuple[Stamp, ...]) -> None:
    reading = _look(files)
    if reading.problem:
        layout.note(reading.problem, tone="bad", title="These files cannot be used.")
    elif not reading.ended:
        total = sum(known.size for known in files)
        folder = Path(files[0].path).parent.name
        layout.note(f"{numbers.size(total)} of {folder} are read once, so that results are kept by what the files hold. "
                    "Then this page goes on by itself, with its settings.", title="Reading the files.")
        st.progress(min(1.0, reading.read / total), text=f"{numbers.size(reading.read)} of {numbers.size(total)}")
    else:
        st.rerun()
