"""Size and speed of a run's pruned model: the measurement that a person asks for, and its outcome."""

from __future__ import annotations

import streamlit as st

from app.explore import findings
from app.shared import layout, numbers, request_progress, resources, state, tables
from cache.keys import run_key
from cache.measurements import Measured
from core.records import RunResult
from core.spec import RunSpec
from core.spec.errors import PruneError

_PROMISE = ("Here you will see how many bytes the pruned model takes, stored in three ways, and how many tokens a second it and the dense "
            "model compute on this device, measured in turn.")


def draw(result: RunResult) -> None:
    """The measurement of a run, or the button that asks for one."""
    spec, jobs, kept = result.spec, resources.jobs(), resources.store().measurements
    try:
        key = jobs.key(spec)
    except PruneError as error:
        layout.note(str(error), tone="bad", title="This cannot be measured.")
        return
    if key != run_key(spec, result.revisions):
        layout.note("This run used another model, text or version of the method than are here now: run it again to measure its model.")
        return
    request, measured = kept.requests.read(key), kept.of_run(key)
    refused = state.recall("measuring-refused", ("", ""))
    if refused[0] == key:
        layout.note(refused[1], tone="bad", title="Not started.")
    request_progress.draw(jobs.measuring, request, failed="Size and speed could not be measured.",
                          cancelled="Canceled. Nothing was kept of it.", place="measuring")
    if measured is None:
        layout.aside(_PROMISE)
    else:
        _draw_measured(measured)
    if request is None or not request.active:
        st.button("Measure size and speed" if measured is None else "Measure again", key="measure", on_click=_ask, args=(spec, key),
                  help="On the worker that computes runs, after what is queued there.")


def _draw_measured(measured: Measured) -> None:
    size, speed = measured.size, measured.speed
    layout.sentence(findings.size_finding(size))
    layout.facts([(name, f"{value}: {about}") for name, value, about in findings.size_rows(size)])
    layout.sentence(findings.speed_finding(speed, smaller=bool(size.removed)))
    st.html(f"<div class='ps-wide'>{findings.speed_table(speed)}</div>")
    layout.aside(" ".join(filter(None, (findings.packed_finding(speed), findings.protocol(speed),
                                        f"Measured {numbers.moment(measured.moment)}."))))
    st.download_button("All rounds as CSV", lambda: tables.rows_csv(findings.speed_rows(speed), (findings.protocol(speed),)), "speed.csv",
                       "text/csv", on_click="ignore", key="speed-csv")


def _ask(spec: RunSpec, key: str) -> None:
    try:
        resources.jobs().measuring.submit(spec)
        state.forget("measuring-refused")
    except PruneError as error:
        state.remember("measuring-refused", (key, str(error)))
