"""The Explore page: the run that the controls ask for, its preview, or the last answer."""

from __future__ import annotations

import streamlit as st

from app.explore import layer_link, run_plan, run_preview, run_result, run_state
from app.shared import address, controls, layout, run_lookup
from app.shared.run_lookup import View
from core.spec import RunSpec


def draw() -> None:
    """Draw the whole page, from its link."""
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
    replaced = _draw_run(form.spec, seen)
    if seen.outdated:
        layout.note("This was computed with another model, text or version of the method than are here now. Run computes it anew.")
    if seen.answer and not replaced:
        run_result.draw_answer(seen.answer)
    elif not seen.answer and not seen.active and not replaced:
        run_result.draw_empty()


def _draw_run(spec: RunSpec | None, seen: View) -> bool:
    """Draw what is asked for and is not finished. Returns whether a preview stands in the place of the last answer."""
    if seen.problem:
        run_plan.draw_problem(spec, seen)
    elif spec and seen.record and seen.active:
        run_state.draw_activity(seen.record)
        run_preview.draw_known(spec)
        return True
    elif spec and seen.record and seen.record.state in ("failed", "cancelled"):
        run_state.draw_ended(seen.record)
    elif spec and not (seen.answer and seen.answer.fits) and spec.pattern.shrinks:
        run_plan.draw_plan(spec)
        layout.aside(f"There is no preview: which {spec.pattern.unit} go, and what that costs, is measured by the run.")
        return True
    elif spec and not (seen.answer and seen.answer.fits):
        preview = run_preview.look(spec)
        run_preview.draw_preview(spec, preview)
        return preview.answer is not None
    return False
