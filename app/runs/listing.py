"""The list of runs: one row a run, with what can be done about it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import streamlit as st

from app.runs import actions, search
from app.runs.row import HEAD, row
from app.shared import layout, numbers, resources, run_progress, state, submission, tables
from app.shared.comparison import MOST
from app.shared.findings import wording
from app.shared.page_links import COMPARE, EXPLORE
from cache.records import ACTIVE, RunRecord
from core.spec import RunSpec

PAGE = 25
QUEUED = "Queued and running"
FILTERS: dict[str, tuple[str, ...] | None] = {
    "All": None, QUEUED: tuple(sorted(ACTIVE)), "Finished": ("finished",), "Failed": ("failed",),
    "Canceled": ("cancelled",),
}
_ALL = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Page:
    """State of the list: the runs of the page that is shown, all that the filter and the search choose, and the words of the search."""

    records: tuple[RunRecord, ...]
    total: int
    find: Callable[[], tuple[RunRecord, ...]]
    text: str


def choose() -> Page:
    """The filter, the search, the order, the page numbers, and the records they choose."""
    with st.container(horizontal=True, vertical_alignment="center", key="runs-choice"):
        chosen = st.segmented_control("Show", list(FILTERS), key="show", default="All", required=True, label_visibility="collapsed",
                                      persist_state="session")
        text = st.text_input("Search", key="runs_search", placeholder="Search: thanos 2:4, a name, a note", label_visibility="collapsed",
                             width=270, max_chars=200, persist_state="session")
        queued = chosen == QUEUED
        orders = [*([search.QUEUE_ORDER] if queued else []), *search.ORDERS]
        order = st.selectbox("Order", orders, key="queue_order" if queued else "runs_order", label_visibility="collapsed",
                             width=240, filter_mode=None, persist_state="session")
        store, states = resources.store(), FILTERS[chosen or "All"]

        def find() -> tuple[RunRecord, ...]:
            if order == search.QUEUE_ORDER:
                return search.containing(resources.jobs().queue.order(), text)
            return search.select(store.runs(limit=_ALL, states=states), text, order)

        in_database = search.is_plain(text, order)  # no other run is read than those shown
        found = () if in_database else find()
        total = store.count(states) if in_database else len(found)
        pages = -(-total // PAGE)
        place = crc32(f"{chosen} {text} {order}".encode())  # another choice begins on its first page
        page = st.pagination(pages, key=f"page-{place}", width=100 + 42 * min(pages, 7)) if pages > 1 else 1
    first = (page - 1) * PAGE
    shown = store.runs(offset=first, limit=PAGE, states=states) if in_database else found[first:first + PAGE]
    return Page(records=shown, total=total, find=find, text=text.strip())


def draw_list(page: Page) -> None:
    """The rows; those that are queued or running are read again every two seconds."""
    with st.container(gap="xxsmall"):
        st.html(HEAD)
        first = next((record.key for record in page.records if record.active), "")
        for record in page.records:
            if record.active:
                st.fragment(_draw_active, run_every=2.0, key=f"row-{record.key}")(record.key, first=record.key == first)
            else:
                _draw_row(record)


def draw_empty(page: Page) -> None:
    """No run at all, none of this state, or none that has the words."""
    if resources.store().count():
        layout.heading("No run has all of these words" if page.text else "No run is in this state")
        layout.sentence("Fewer words find more: they are looked for in names, notes, settings, states, dates and keys."
                        if page.text else "All runs are under All.")
        return
    layout.heading("No runs yet")
    layout.sentence("Here you will find every run that was asked for: what is waiting and at which position, what is being "
                    "computed and its progress, what is finished with its perplexity, and what failed with its reason.")
    demo = RunSpec()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(f"Run the example: {wording.describe(demo)}", key="run_demo", on_click=submission.start_demo, args=(demo,))
        st.page_link(EXPLORE, label="or choose another on the Explore page")


def draw_take_away(page: Page) -> None:
    """The runs that are found, as a file."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="right", gap="small"):
        st.html(f"<span class='ps-takeaway'>{numbers.plural(page.total, 'run')}, with names and notes:</span>", width="content")
        notes = (f"runs of this store{f', found by: {page.text}' if page.text else ''}",)
        st.download_button("CSV", lambda: tables.rows_csv(search.rows(page.find()), notes), "runs.csv", "text/csv", on_click="ignore",
                           key="runs-csv", type="tertiary")


def _draw_active(key: str, *, first: bool) -> None:
    """`first`: the row that says for all of them why none goes on."""
    record = resources.store().record(key)
    if record is None or not record.active:
        st.rerun()
    progress = resources.jobs().progress(key)
    share, words = run_progress.bar(record, progress, resources.jobs().queue.wait(key))
    with st.container(gap=None):
        _draw_row(record)
        st.progress(share, text=words)
    if first:
        run_progress.draw_problem(progress)


def _draw_row(record: RunRecord) -> None:
    which = wording.describe(record.spec)
    with st.container(horizontal=True, vertical_alignment="center", wrap=False, key=f"run-{record.key}"):
        st.checkbox(f"Mark to compare: {layout.plain(which)}", key=f"mark-{record.key}", value=record.key in _marked(),
                    disabled=record.state != "finished", on_change=_mark, args=(record.key,), label_visibility="collapsed", help=None)
        st.html(row(record, time.time()))
        st.button(layout.named("Open", which), key=f"open-{record.key}", on_click=state.remember, args=("open", record.key))
        choices = actions.of(record)
        chosen = st.menu_button(layout.named("More", which), list(choices), key=f"more-{record.key}")
        if chosen in choices:
            choices[chosen](record)
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
