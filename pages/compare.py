"""Compare: what changed?"""

import streamlit as st

from app.compare import controls, page, query
from app.shared import layout
from app.shared.comparison import compare

layout.begin("What changed?")
choice = query.arrive()
runs = compare([run.result for run in choice.runs])
query.write(choice)

with st.sidebar:
    controls.draw_choice(choice, runs)
controls.draw_dialog()

layout.link_notes(choice.notes, on_dismiss=query.dismiss)
if len(runs) > 1:
    page.draw_comparison(choice, runs)
else:
    page.draw_too_few(runs)
