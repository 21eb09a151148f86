"""The list of runs: one row a run, with what can be done about it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape

import streamlit as st

from app.shared import layout, numbers, resources, run_progress, state, submission
from app.shared.comparison import MOST
from app.shared.findings import wording
from app.shared.page_links import COMPARE, EXPLORE
from cache.records import ACTIVE, RunRecord
from core.spec import RunSpec

PAGE = 25
FILTERS: dict[str, tuple[str, ...] | None] = {
    "All": None, "Queued and running": tuple(sorted(ACTIVE)), "Finished": ("finished",), "Failed": ("failed",),
    "Cancelled": ("cancelled",),
}
_HEAD = ("<div class='ps-row ps-head'><span>Run</span><span title='On the evaluation text of the run; open it for the protocol'>"
         "Perplexity, dense → pruned</span><span>State</span><span>When</span></div>")


@dataclass(frozen=True, kw_only=True)
class Page:
    """State of the list: what it shows now."""

    records: tuple[RunRecord, ...]
    total: int
    active: int


def choose() -> Page:
    """The filter, the page numbers, and the records they choose."""
    store = resources.store()
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        chosen = st.segmented_control("Show", list(FILTERS), key="show", default="All", required=True, label_visibility="collapsed")
        states = FILTERS[chosen or "All"]
        total = store.count(states)
        pages = -(-total // PAGE)
        page = st.pagination(pages, key=f"page-{chosen}", width=100 + 42 * min(pages, 7)) if pages > 1 else 1
    return Page(records=store.runs(offset=(page - 1) * PAGE, limit=PAGE, states=states), total=total, active=store.count(ACTIVE))


def draw_list(page: Page) -> None:
    """The rows; those that are queued or running are read again every two seconds."""
    with st.container(gap="xxsmall"):
        st.html(_HEAD)
        first = next((record.key for record in page.records if record.active), "")
        for record in page.records:
            if record.active:
                st.fragment(_draw_active, run_every=2.0, key=f"row-{record.key}")(record.key, first=record.key == first)
            else:
                _draw_row(record)


def draw_empty() -> None:
    """No run at all, or none of this state."""
    if resources.store().count():
        layout.heading("No run is in this state")
        layout.sentence("All runs are under All.")
        return
    layout.heading("No runs yet")
    layout.sentence("Here you will find every run that was asked for: what is waiting and at which position, what is being "
                    "computed and its progress, what is finished with its perplexity, and what failed with its reason.")
    demo = RunSpec()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(f"Run the example: {wording.describe(demo)}", key="run_demo", on_click=submission.start_demo, args=(demo,))
        st.page_link(EXPLORE, label="or choose another on the Explore page")


def draw_dialog() -> None:
    """The question that comes before a run is deleted."""
    key = state.recall("deleting", "")
    record = resources.store().record(key) if key else None
    if record is not None:
        st.dialog("Delete this run?", on_dismiss=partial(state.forget, "deleting"))(_confirm)(record)


def _confirm(record: RunRecord) -> None:
    layout.sentence(f"{wording.describe(record.spec)}. Its result and its finished blocks will be deleted. "
                    "Links to it will offer to run it again.")
    with st.container(horizontal=True):
        if st.button("Delete", type="primary", key="delete-yes"):
            resources.jobs().delete(record.key)
            state.forget("deleting")
            st.rerun()
        if st.button("Keep", key="delete-no"):
            state.forget("deleting")
            st.rerun()


def _draw_active(key: str, *, first: bool) -> None:
    """`first`: the row that says for all of them why none goes on."""
    record = resources.store().record(key)
    if record is None or not record.active:
        st.rerun()
    progress = resources.jobs().progress(key)
    share, words = run_progress.bar(record, progress, resources.jobs().position(key))
    with st.container(gap=None):
        _draw_row(record)
        st.progress(share, text=words)
    if first:
        run_progress.draw_problem(progress)


def _draw_row(record: RunRecord) -> None:
    which = wording.describe(record.spec)
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.checkbox(f"Mark to compare: {layout.plain(which)}", key=f"mark-{record.key}", value=record.key in _marked(),
                    disabled=record.state != "finished", on_change=_mark, args=(record.key,), label_visibility="collapsed", help=None)
        st.html(_row(record))
        st.button(layout.named("Open", which), key=f"open-{record.key}", on_click=state.remember, args=("open", record.key))
        actions = _actions(record)
        chosen = st.menu_button(layout.named("More", which), list(actions), key=f"more-{record.key}")
        if chosen in actions:
            actions[chosen](record)
            st.rerun()


def draw_marked() -> None:
    """Draw the runs marked to be compared, on any page of the list; nothing while none is."""
    marked = _marked()
    if not marked:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="marked"):
        enough = 2 <= len(marked) <= MOST
        st.html(f"<span class='ps-under'>{numbers.plural(len(marked), 'run')} marked to compare"
                f"{'' if enough else f'; 2 to {MOST} stand side by side'}</span>", width="content")
        st.button("Compare", key="compare-marked", disabled=not enough, on_click=state.remember, args=("compare", marked))
        st.button("Clear", key="clear-marked", type="tertiary", on_click=_clear)


def _marked() -> tuple[str, ...]:
    return state.recall("marked", ())


def _mark(key: str) -> None:
    marked = tuple(word for word in _marked() if word != key)
    state.remember("marked", (*marked, key) if state.widget(f"mark-{key}") else marked)


def _clear() -> None:
    for key in _marked():
        state.set_widget(f"mark-{key}", False)
    state.forget("marked")


def _actions(record: RunRecord) -> dict[str, Callable[[RunRecord], None]]:
    return ({"Cancel": _cancel} if record.active else {}) | {"Unpin" if record.pinned else "Pin": _pin, "Delete": _delete}


def _cancel(record: RunRecord) -> None:
    resources.jobs().cancel(record.key)


def _pin(record: RunRecord) -> None:
    resources.jobs().pin(record.key, not record.pinned)


def _delete(record: RunRecord) -> None:
    state.remember("deleting", record.key)


def follow() -> None:
    """Go to the run whose button was pressed, or to the comparison."""
    key = state.recall("open", "")
    if key:
        state.forget("open")
        st.switch_page(EXPLORE, query_params={"run": key})
    marked: tuple[str, ...] = state.recall("compare", ())
    if marked:
        state.forget("compare")
        st.switch_page(COMPARE, query_params={"runs": ",".join(marked)})


def _row(record: RunRecord) -> str:
    title = ("Pinned: " if record.pinned else "") + wording.describe(record.spec)
    rest = f" <span class='ps-quiet'>{escape(wording.describe_rest(record.spec))}</span>"
    stamp = record.ended or record.started or record.submitted
    inside = f"<span>{escape(title)}{rest}</span><span>{escape(_outcome(record))}</span>" + "".join(
        f"<span class='ps-quiet'>{escape(text)}</span>" for text in (record.state, numbers.ago(stamp, time.time())))
    why = f"<span class='ps-why'>{escape(record.error)}</span>" if record.state == "failed" and record.error else ""
    return f"<div class='ps-row'>{inside}{why}</div>"


def _outcome(record: RunRecord) -> str:
    if record.dense_perplexity is None or record.pruned_perplexity is None:
        return ""
    return f"{numbers.perplexity(record.dense_perplexity)} → {numbers.perplexity(record.pruned_perplexity)}"
