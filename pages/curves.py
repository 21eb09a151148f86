"""Curves: how far can I go?"""

import streamlit as st

from app.curves import controls, missing_runs, page
from app.shared import layout

page.follow()
layout.begin("How far can I go?")
notes = controls.arrive()
controls.draw_tabs()

with st.sidebar:
    controls.draw_controls()
    button = st.container()
    controls.draw_more()

form = controls.read()
now = missing_runs.look(form.sweep)
with button:
    missing_runs.draw_button(now, ready=not form.complaints)
controls.write(form)

layout.link_notes(notes, on_dismiss=controls.dismiss)
layout.complaints(form.complaints)
missing_runs.draw_activity(now)
page.draw_view(form, now)
missing_runs.draw_troubles(now)
