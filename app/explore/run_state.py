"""A run that is queued, running or ended without a result."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.shared import layout, numbers, resources, state
from app.shared.charts.layer_errors import layer_errors
from app.shared.findings import wording
from app.shared.plot import plot
from app.shared.run_progress import bar, draw_problem
from app.shared.style import chart_config
from cache.records import RunRecord
from core.records import LayerRecord
from core.records.runs import median_gap


def draw_activity(drawn: RunRecord) -> None:
    """Watch a run each second until it has begun or ended; then the page is drawn anew."""
    st.fragment(_draw, run_every=1.0)(drawn.key, drawn.state)


def draw_ended(record: RunRecord) -> None:
    """Draw why a run has no result."""
    if record.state == "failed":
        layout.heading(wording.describe(record.spec), wording.describe_rest(record.spec), "failed")
        layout.note(record.error or "No reason was recorded.", tone="bad", title="The run failed.")
    elif record.state == "cancelled":
        layout.heading(wording.describe(record.spec), wording.describe_rest(record.spec), wording.state(record.state))
        layout.note("Canceled before it was finished. Its finished blocks are kept: Run again continues after them.")


def _draw(key: str, drawn: str) -> None:
    jobs, record = resources.jobs(), resources.store().record(key)
    if record is None or record.state != drawn:
        st.rerun()
    progress = jobs.progress(key)
    share, words = bar(record, progress, jobs.queue.wait(key))
    layout.heading(wording.describe(record.spec), wording.describe_rest(record.spec),
                   "waiting" if record.state == "queued" else "being computed")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, text=words)
        st.button("Cancel", key="cancel", on_click=_cancel, args=(key,), disabled=state.recall("stopping", "") == key)
    draw_problem(progress)
    if progress.layers:
        total = progress.started.layers if progress.started else None
        layout.sentence(_so_far(progress.layers, total))
        if progress.started and progress.started.resumed_blocks:
            layout.aside(f"Resumed after block {progress.started.resumed_blocks} of {progress.started.blocks}: finished blocks were kept.")
        blocks = progress.latest.blocks if progress.latest else None
        chart = layer_errors(progress.layers, theme=layout.theme(), title="Error of every layer so far", blocks=blocks, height=320)
        plot(chart, key="so-far", config=chart_config("layer-errors-so-far"),
                        alt=_so_far(progress.layers, total))


def _cancel(key: str) -> None:
    state.remember("stopping", key)
    resources.jobs().cancel(key)
    state.forget("stopping")


def _so_far(layers: Sequence[LayerRecord], total: int | None) -> str:
    gap = median_gap(layers)
    of = f"of {total} layers" if total else "layers"
    last = f"{wording.short_name(layers[-1])} with error {numbers.error(layers[-1].relative_error)}"
    beside = "" if gap is None else f"; median error so far {numbers.over_optimum(gap)} the best possible for the mask"
    return f"{len(layers)} {of} done. Last: {last}{beside}."
