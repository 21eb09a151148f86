"""Curves: how far can I go?"""

import streamlit as st

from app.ui import curve_controls, curve_runs, curves, layout

curves.follow()
layout.begin("How far can I go?")
notes = curve_controls.arrive()
curve_controls.draw_tabs()

with st.sidebar:
    curve_controls.draw_controls()
    button = st.container()
    curve_controls.draw_more()

form = curve_controls.read()
now = curve_runs.look(form.sweep)
with button:
    curve_runs.draw_button(now, ready=not form.complaints)
curve_controls.write(form)

layout.link_notes(notes, on_dismiss=curve_controls.dismiss)
layout.complaints(form.complaints)
curve_runs.draw_activity(now)
curves.draw_view(form, now)
curve_runs.draw_troubles(now)
