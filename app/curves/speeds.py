"""Measured size and speed of a view's points: asked for with the points or afterwards, and how far that is."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.curves.offered import PRE
from app.shared import layout, numbers, resources, state
from app.shared.findings import wording
from app.shared.sweeps.points import Point
from app.shared.sweeps.stored import with_measurements
from cache.measurements import Measuring
from core.spec import RunSpec
from core.spec.errors import PruneError

_SHOWN = 2  # failures told in full
WANTED = f"{PRE}speed"


def draw_option() -> None:
    """The choice to measure with the points that are computed."""
    st.checkbox("Measure size and speed as well", key=WANTED, persist_state="session",
                help="After each run, on the worker that computes runs: tokens a second of the pruned model and the dense one in turn, in "
                "one process, at most about 3 minutes a point. Only models that memory holds whole.")


def wanted() -> bool:
    """True where that is chosen."""
    return bool(state.widget(WANTED))


def ask(specs: Sequence[RunSpec]) -> None:
    """Ask for the measurement of each run. Raises PruneError."""
    for spec in specs:
        resources.jobs().measuring.submit(spec)


def draw(points: Sequence[Point]) -> None:
    """Progress of measurements, failures, and the button for the points of this machine that have no measured speed."""
    lacking = [point for point in with_measurements(points) if point.worth is None and point.key]
    requests = {point.key: resources.store().measurements.requests.read(point.key) for point in lacking}
    active = [request for request in requests.values() if request is not None and request.active]
    failed = [request for request in requests.values() if request is not None and request.state == "failed"]
    if refused := state.recall("speeds_refused", ""):
        layout.note(refused, tone="bad", title="Not started.")
    if active:
        st.fragment(_follow, run_every=1.0)(tuple(request.key for request in active))
    for request in failed[:_SHOWN]:
        layout.note(request.error or "No reason was recorded.", tone="bad", title=f"{wording.describe(request.spec)}: no speed.")
    left = [point for point in lacking if requests[point.key] not in active]
    if left:
        st.button(f"Measure size and speed of {numbers.plural(len(left), 'point')}", key="curves_measure", on_click=_ask, args=(left,),
                  help="One after the other, each beside the dense model in turn: at most 3 minutes a point.")


def _ask(points: Sequence[Point]) -> None:
    state.forget("speeds_refused")
    try:
        ask([point.spec for point in points])
    except PruneError as error:
        state.remember("speeds_refused", str(error))


def _follow(keys: tuple[str, ...]) -> None:
    """Progress of the first one that is measured. The page is drawn anew when one is done."""
    asked = resources.store().measurements.requests
    active = [request for key in keys if (request := asked.read(key)) is not None and request.active]
    if len(active) < len(keys):
        st.rerun()
    now: Measuring = next((request for request in active if request.state == "running"), active[0])
    words = f"{layout.plain(wording.describe(now.spec))}: {now.doing or 'waiting for the worker'}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, max(0.0, now.share)), text=f"{numbers.plural(len(active), 'speed')} to measure. {words}")
        st.button("Cancel all", key="speeds_cancel", on_click=_cancel, args=(keys,))


def _cancel(keys: Sequence[str]) -> None:
    for key in keys:
        resources.jobs().measuring.cancel(key)
