"""The frame of a page with the controls of a run on the left: its question, what its link said, what must be changed first."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st

from app.shared import address, controls, layout
from core.spec import RunSpec


def begin(page: str, question: str, own: Collection[str] = ()) -> RunSpec | None:
    """Title, link and controls; the spec they ask for, or None after saying what is wrong with it. End the page with `address.write(spec)`.

    `page` is its name in the session, `own` the words of its link beside a run's (app/shared/address.py). All such pages share the
    controls: what was chosen on one is chosen on the next.
    """
    layout.begin(question)
    notes = address.arrive(page, own)
    with st.sidebar:
        controls.draw_controls()
        controls.draw_more()
    form = controls.read()
    layout.link_notes(notes, on_dismiss=address.dismiss)
    layout.complaints(form.complaints)
    return form.spec
