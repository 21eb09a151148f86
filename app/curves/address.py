"""The address bar of the Curves page: a link sets the controls, the controls write the link."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.curves import query
from app.curves.controls import Form, fill
from app.shared import state


def arrive() -> tuple[str, ...]:
    """Take over what the address bar says where a person put it there; returns what to tell about it."""
    words, entered = st.query_params.to_dict(), state.recall("page", "") != "curves"
    state.remember("page", "curves")
    context = get_script_run_ctx()
    moved = context is not None and context.is_history_navigation
    if not state.recall("curves_arrived", False) or moved or (entered and words):
        first = not state.recall("curves_arrived", False) and not words
        model = state.widget("model") if first else None  # the model one came from
        asked, notes = query.read({"model": model} if model else words)
        fill(asked)
        state.remember("curves_notes", notes)
        state.remember("curves_arrived", True)
    elif entered:
        dismiss()
    return state.recall("curves_notes", ())


def dismiss() -> None:
    """Take the notes about the link away."""
    state.forget("curves_notes")


def write(form: Form) -> None:
    """Make the link say what the controls say, once it can be said."""
    words = query.write(form.asked)
    if not form.complaints and words != st.query_params.to_dict():
        st.query_params.from_dict(words)
