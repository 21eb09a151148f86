"""The Try it out page: zero-shot tasks, and texts side by side."""

from __future__ import annotations

import streamlit as st

from app.shared import address, answers, run_page, state
from app.tryout import scores_page, text_page, text_query
from app.tryout.query import OWN, VIEWS, read, read_view


def draw() -> None:
    """Draw the whole page, from its link."""
    spec = run_page.begin("tryout", "What can it still do?", own=(*OWN, *text_query.CODEC.words))
    if spec is not None:
        view = read_view(address.word, address.refuse)
        state.set_widget("tryout-view", view)
        st.segmented_control("View", list(VIEWS), key="tryout-view", format_func=VIEWS.__getitem__, required=True, on_change=_turned,
                             label_visibility="collapsed")
        if view == "text":
            text_page.draw(spec, text_query.read(address.word, address.refuse))
        else:
            answers.leave(text_page.PLACE)
            scores_page.draw(spec, read(address.word, address.refuse))
    address.write(spec)


def _turned() -> None:
    view = state.widget("tryout-view")
    address.set_word("view", view if view == "text" else "")
