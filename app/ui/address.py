"""The address bar: a link sets the controls and the run to show; the controls write the link. Nothing in a link can break a page.

Streamlit's `bind="query-params"` drops what does not fit without a word, and knows no word made of several widgets (`pattern=2:4`).
So the link is read and written here, in the words of `app/link.py`. `run=KEY` is in it exactly while the controls ask for that run.
"""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import link
from app.ui import controls, resources, state
from cache.keys import is_key
from core.spec import RunSpec


def arrive() -> tuple[str, ...]:
    """Take over what the address bar says where a person put it there: a link that was opened, or a step back or forward in the
    browser's history. Returns what to tell about it. In all other reruns the controls are right and the address bar may be late."""
    words = st.query_params.to_dict()
    entered = state.recall("page", "") != "explore"
    state.remember("page", "explore")
    if not state.recall("arrived", False) or _history() or (entered and words):
        state.remember("notes", _open(words))
        state.remember("arrived", True)
    elif entered:
        state.forget("notes")
    return state.recall("notes", ())


def leave() -> None:
    """For pages without controls: the next visit to Explore is a new arrival."""
    state.remember("page", "")


def write(spec: RunSpec | None, run: str | None) -> None:
    """Make the link say what the controls say, and which run is shown if it is the one they ask for."""
    if spec is None:
        return
    words = link.to_words(spec)
    if run is not None:
        words = {"run": run, **words}
    if words != st.query_params.to_dict():
        st.query_params.from_dict(words)


def dismiss() -> None:
    """Take the notes about the link away."""
    state.forget("notes")


def _history() -> bool:
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def _open(words: dict[str, str]) -> tuple[str, ...]:
    key = words.pop("run", None)
    spec, notes = link.from_words(words)
    state.forget("opened")
    if key is None and not words:
        spec = _first()
    elif key is not None and not is_key(key):
        notes = (f"run: {key[:60]!r} is no run's key (64 digits and letters a to f). The settings of the link are kept.", *notes)
    elif key is not None:
        record = resources.store().record(key)
        if record is None:
            notes = (f"Run {key[:8]} is not in this store: it was deleted, or made on another machine. Its settings are kept; "
                     "press Run to compute it here.", *notes)
        else:
            state.remember("opened", key)
            spec, notes = record.spec, ()
    controls.fill(spec)
    return notes


def _first() -> RunSpec:
    """What a bare link shows: the newest finished run of the demo model, else the shipped example, else the defaults."""
    newest = resources.newest_demo()
    if newest is not None:
        state.remember("opened", newest.key)
        return newest.spec
    shipped = resources.gallery()
    return shipped[0].spec if shipped else RunSpec()
