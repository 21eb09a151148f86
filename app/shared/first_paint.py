"""First paint of a tab: numbers at once, charts a moment later."""

from __future__ import annotations

import streamlit as st

from app.shared import state


def first_paint() -> bool:
    """True if this tab draws for the first time; it is then drawn once more by itself.

    A browser shows nothing of a page before it has read the programs of all that is on it, and Plotly's is 5 MB. So charts leave
    their place empty the first time, and numbers and controls are on the screen a second earlier.
    """
    if state.recall("painted", False):
        return False
    state.remember("painted", True)
    st.fragment(_draw_again, run_every=0.2)()
    return True


def _draw_again() -> None:
    if state.recall("waited", False):
        st.rerun()
    state.remember("waited", True)
