"""Dialogs of the Runs page: before a run is deleted, and for its name and note."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from app.shared import layout, resources, state
from app.shared.findings import wording
from cache.records import LONGEST_NAME, LONGEST_NOTE, RunRecord


def draw() -> None:
    """The dialog that is open, if one is: which run it is about is remembered under its name."""
    for name, title, content in (("deleting", "Delete this run?", _confirm), ("naming", "Name and note", _describe)):
        key = state.recall(name, "")
        record = resources.store().record(key) if key else None
        if record is not None:
            st.dialog(title, on_dismiss=partial(state.forget, name))(content)(record)
            return


def _confirm(record: RunRecord) -> None:
    layout.sentence(f"{wording.describe(record.spec)}. Its result and its finished blocks will be deleted. "
                    "Links to it will offer to run it again.")
    with st.container(horizontal=True):
        if st.button("Delete", type="primary", key="delete-yes"):
            _close("deleting", partial(resources.jobs().delete, record.key))
        if st.button("Keep", key="delete-no"):
            _close("deleting")


def _describe(record: RunRecord) -> None:
    layout.sentence(f"{wording.describe(record.spec)}. Your words stay with the run, and are deleted with it.")
    name = st.text_input("Name", record.name, max_chars=LONGEST_NAME, key=f"name-{record.key}")
    note = st.text_area("Note", record.note, max_chars=LONGEST_NOTE, key=f"note-{record.key}", height=140)
    with st.container(horizontal=True):
        if st.button("Save", type="primary", key="name-yes"):
            _close("naming", partial(resources.jobs().name, record.key, name, note))
        if st.button("Cancel", key="name-no"):
            _close("naming")


def _close(name: str, act: Callable[[], None] | None = None) -> None:
    if act is not None:
        act()
    state.forget(name)
    st.rerun()
