"""The runs behind the curves: which points there are, which are missing, being computed or failed; and how to compute the rest."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app.curves import speeds
from app.curves.fitting import Fitting, fitting
from app.shared import layout, numbers, resources, run_progress, state, submission
from app.shared.findings import wording
from app.shared.sweeps.grid import Grid, Sweep
from app.shared.sweeps.points import Matching, Point, asked_anywhere, matching
from app.shared.sweeps.stored import candidates, revisions_today
from cache.keys import run_key
from cache.records import RunRecord
from core.records import Revisions
from core.spec import RunSpec
from core.spec.errors import PruneError


@dataclass(frozen=True, kw_only=True)
class State:
    """State of a sweep. `points` match the chart's model, texts and arithmetic, whether the sweep asks for them or not."""

    matching: Matching
    grid: Grid
    missing: tuple[RunSpec, ...]
    fit: Fitting
    active: tuple[RunRecord, ...]
    failed: tuple[RunRecord, ...]
    problem: str | None

    @property
    def points(self) -> tuple[Point, ...]:
        return self.matching.points


def look(sweep: Sweep) -> State:
    """Find the points for a sweep, and what is missing."""
    today, problem = revisions_today(sweep.base)
    found = matching(candidates(sweep.base), sweep.base, today)
    grid = sweep.grid()
    done = set[RunSpec](() if found.foreign else (point.asked for point in found.points))
    for base, now in zip(sweep.base.on_each_text[1:], today.on_each_text[1:] if today else (), strict=False):
        done.update(point.asked for point in matching(candidates(base), base, now).points)
    open_specs = [spec for spec in grid.specs if not done.issuperset(map(asked_anywhere, spec.on_each_text))]
    records = [_record(spec, today) for spec in open_specs]
    pairs = list(zip(open_specs, records, strict=True))
    missing = tuple(spec for spec, record in pairs if record is None or not record.active)
    fit = fitting(missing) if sweep.fitting and problem is None else Fitting(specs=missing)
    return State(
        matching=found, grid=grid, problem=problem, fit=fit, missing=fit.specs,
        active=tuple(record for _, record in pairs if record is not None and record.active),
        failed=tuple(record for _, record in pairs if record is not None and record.state == "failed"))


def draw_button(now: State, *, ready: bool, with_speed: bool) -> None:
    """The page's one primary button, with what it would take, and the choice of measuring speed. Not `ready`: something in the controls
    must be changed first."""
    count, can = len(now.missing), ready and now.problem is None
    label = (f"Compute the missing {numbers.plural(count, 'point')}" if count else
             f"Computing {numbers.plural(len(now.active), 'point')}…" if now.active else "Every point is there")
    st.button(label, key="curves_compute", type="primary", width="stretch", disabled=not count or not can,
              on_click=_compute, args=(now.missing, with_speed and speeds.wanted()))
    if with_speed and count:
        speeds.draw_option()
    if count and can:
        asking = _seconds(now)[1] or now.fit.planning
        st.fragment(_draw_estimate, run_every=1.0 if asking else None)(now, asking)


def draw_activity(now: State) -> None:
    """Draw the points being computed, each second until one is finished; then the page is drawn anew."""
    if now.active:
        st.fragment(_draw_activity, run_every=1.0)(tuple(record.key for record in now.active))


def _record(spec: RunSpec, today: Revisions | None) -> RunRecord | None:
    if today is None:
        return None
    return resources.store().record(run_key(spec, today.model_copy(update={"method": spec.method.version})))


def _compute(specs: Sequence[RunSpec], speed: bool) -> None:
    """Ask for all of them, with their `speed` where that is wanted. What prevents one is shown as it is."""
    state.forget("curves_refused")
    try:
        for spec in specs:
            resources.jobs().submit(spec, group=f"{submission.asker()}-curves")
        if speed:
            speeds.ask(specs)
    except PruneError as error:
        state.remember("curves_refused", str(error))


def _cancel(keys: Sequence[str]) -> None:
    for key in keys:
        resources.jobs().cancel(key)


def _seconds(now: State) -> tuple[float | None, bool]:
    """Estimated time of the missing points one after the other, and whether the estimate is still being made: the median of what a
    method took here before, else a plan of its first run."""
    total, asking = 0.0, False
    for name in {spec.method.name for spec in now.missing}:
        mine = [spec for spec in now.missing if spec.method.name == name]
        before = [point.seconds for point in now.points if point.key and point.spec.method.name == name]
        plan = None if before else resources.jobs().plan(mine[0])
        asking = asking or (plan is not None and plan.state == "computing")
        each = statistics.median(before) if before else plan.plan.seconds if plan is not None and plan.plan else None
        total += len(mine) * each if each is not None else float("nan")
    return (None if math.isnan(total) else total), asking


def _draw_estimate(now: State, asked: bool) -> None:
    seconds, asking = _seconds(now)
    asking = asking or (now.fit.planning and fitting(now.missing).planning)
    if asked and not asking:
        st.rerun()  # and ask no more
    if seconds is not None:
        st.caption(f"about {numbers.seconds(seconds)}, one after the other")
    elif asking:
        st.caption("estimating the time …")


def _draw_activity(keys: tuple[str, ...]) -> None:
    jobs, store = resources.jobs(), resources.store()
    records = [record for record in map(store.record, keys) if record is not None and record.active]
    if len(records) < len(keys):
        st.rerun()
    first = next((record for record in records if record.state == "running"), records[0])
    progress = jobs.progress(first.key)
    share, words = run_progress.bar(first, progress, jobs.queue.wait(first.key))
    with st.container(horizontal=True, vertical_alignment="center"):
        title = layout.plain(run_title(first.spec))
        st.progress(share, text=f"{numbers.plural(len(records), 'point')} to come. {title}: {words}")
        st.button("Cancel all", key="curves_cancel", on_click=_cancel, args=(keys,))
    run_progress.draw_problem(progress)


def run_title(spec: RunSpec) -> str:
    seed = f", seed {spec.calibration.seed}" if spec.calibration.seed else ""
    return wording.describe(spec).partition(" · ")[2] + seed
