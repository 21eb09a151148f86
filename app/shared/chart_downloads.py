"""Under a chart: the chart itself as PNG, and its own numbers, to take away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import streamlit as st

from app.shared import tables

Rows = Sequence[Mapping[str, object]]
_PRESS = f"<script>{Path(__file__).with_name('chart_downloads.js').read_text(encoding='utf-8')}</script>"


def take_away(name: str, rows: Rows | Callable[[], Rows], protocol: Sequence[str]) -> None:
    """A quiet line `PNG CSV JSON`: the chart above as its own menu saves it (`chart_config`), its data with its protocol in comment lines.

    `name` is the file's name without ending, and must be unique on its page. Nothing is written before a person presses; `rows`
    may be a function, called only then, in another thread: it must not use Streamlit.
    """
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="small",
                      key=f"takeaway-{name}"):
        st.html("<span class='ps-takeaway'>This chart:</span>", width="content")
        st.html(f"<button type='button' class='ps-png'>PNG</button>{_PRESS}", width="content", unsafe_allow_javascript=True)
        st.download_button("CSV", partial(_write, tables.rows_csv, rows, protocol), f"{name}.csv", "text/csv", on_click="ignore",
                           key=f"{name}-csv", type="tertiary")
        st.download_button("JSON", partial(_write, tables.rows_json, rows, protocol), f"{name}.json", "application/json",
                           on_click="ignore", key=f"{name}-json", type="tertiary")


def _write(form: Callable[[Rows, Sequence[str]], str], rows: Rows | Callable[[], Rows], protocol: Sequence[str]) -> str:
    return form(rows() if callable(rows) else rows, protocol)
