"""Request of the Learn page in its link and its controls: read, checked, written. Nothing in a link can break the page."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.shared import state
from app.shared.lessons import CODEC, NO_ROW, STOPS, TEACHER, TOUR, WORDS, Lesson, parse, to_words
from core.spec import RunSpec

__all__ = ["CODEC", "NO_ROW", "PRE", "SPEC", "STOPS", "TEACHER", "TOUR", "WORDS", "Lesson", "parse", "to_words"]
PRE = "learn_"  # its widgets are its own
SPEC = RunSpec()  # lessons are about the demo model: it is at hand everywhere


def arrive() -> tuple[str, ...]:
    """Take over what the address bar says where a person put it there; returns what to tell about it."""
    words, entered = st.query_params.to_dict(), state.recall("page", "") != "learn"
    state.remember("page", "learn")
    context = get_script_run_ctx()
    moved = context is not None and context.is_history_navigation
    if not state.recall("learn_arrived", False) or moved or (entered and words):
        lesson, notes = parse(words)
        state.remember("learn_notes", notes)
        state.remember("learn_arrived", True)
        state.remember("playing", False)
        fill(lesson)
    elif entered:
        dismiss()
    return state.recall("learn_notes", ())


def dismiss() -> None:
    """Take the notes about the link away."""
    state.forget("learn_notes")


def fill(lesson: Lesson) -> None:
    """Set every control to a lesson, before any is drawn."""
    for word in WORDS:
        state.set_widget(PRE + word, getattr(lesson, word))


def read() -> Lesson:
    """The lesson that the controls and clicks ask for, kept within its matrix; controls that were outside are moved."""
    found = {word: state.widget(PRE + word) for word in WORDS}
    lesson = parse({word: value for word, value in found.items() if value is not None})[0]
    for word, value in found.items():
        if value != getattr(lesson, word):
            state.set_widget(PRE + word, getattr(lesson, word))
    return lesson


def change(**words: object) -> None:
    """Set some words, in a callback or before their controls are drawn."""
    for word, value in words.items():
        state.set_widget(PRE + word, value)


def write(lesson: Lesson) -> None:
    """Make the link say what is shown. One that says so already, if shorter, stays: written anew it would be a second entry in the
    browser's history, from which Back leads to the first, and that here again."""
    words, address = to_words(lesson), st.query_params.to_dict()
    if words != address and (not address or parse(address) != (lesson, ())):
        st.query_params.from_dict(words)
