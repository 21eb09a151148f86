"""Compare: what changed?"""

import streamlit as st

from app.figures.comparison import compare
from app.ui import choosing, compared, layout, side_by_side

layout.begin("What changed?")
choice = compared.arrive()
runs = compare([run.result for run in choice.runs])
compared.write(choice)

with st.sidebar:
    choosing.draw_choice(choice, runs)
choosing.draw_dialog()

layout.link_notes(choice.notes, on_dismiss=compared.dismiss)
if len(runs) > 1:
    side_by_side.draw_comparison(choice, runs)
else:
    side_by_side.draw_too_few(runs)
