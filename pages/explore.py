"""Explore: what does this pruning do to this model?"""

import streamlit as st

from app.explore import layer_link, run_plan, run_preview, run_result
from app.shared import address, controls, layout, run_lookup, run_progress

layer_link.follow()
layout.begin("What does this pruning do to this model?")
notes = address.arrive()

with st.sidebar:
    controls.draw_controls()
    button = st.container()
    controls.draw_more()

form = controls.read()
seen = run_lookup.look(form.spec)
with button:
    run_plan.draw_button(form.spec, seen)
address.write(form.spec, seen.key if seen.record else None)

layout.link_notes(notes, on_dismiss=address.dismiss)
layout.complaints(form.complaints)
run_plan.draw_refusal(form.spec)
replaced = False  # whether something newer stands in the place of the last answer
if seen.problem:
    run_plan.draw_problem(form.spec, seen)
elif form.spec and seen.record and seen.active:
    run_progress.draw_activity(seen.record)
elif form.spec and seen.record and seen.record.state in ("failed", "cancelled"):
    run_progress.draw_ended(seen.record)
elif form.spec and not (seen.answer and seen.answer.fits):
    preview = run_preview.look(form.spec)
    run_preview.draw_preview(form.spec, preview)
    replaced = preview.answer is not None
if seen.outdated:
    layout.note("This was computed with another model, text or version of the method than are here now. Run computes it anew.")

if seen.answer and not replaced:
    run_result.draw_answer(seen.answer)
elif not seen.answer and not seen.active and not replaced:
    run_result.draw_empty()
