"""Under a chart: its own numbers, to take away. The PNG is in the chart's own menu (`chart_config`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import streamlit as st

from app.figures import tables

Rows = Sequence[Mapping[str, object]]


def take_away(name: str, rows: Rows | Callable[[], Rows], protocol: Sequence[str]) -> None:
    """A quiet line `CSV · JSON`: the data of the chart above, with its protocol in comment lines.

    `name` is the file's name without ending, and must be unique on its page. Nothing is written before a person presses; `rows`
    may be a function, called only then, in another thread: it must not use Streamlit.
    """
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="small",
                      key=f"takeaway-{name}"):
        st.html("<span class='ps-takeaway'>The numbers of this chart:</span>", width="content")
        st.download_button("CSV", partial(_write, tables.rows_csv, rows, protocol), f"{name}.csv", "text/csv", on_click="ignore",
                           key=f"{name}-csv", type="tertiary")
        st.download_button("JSON", partial(_write, tables.rows_json, rows, protocol), f"{name}.json", "application/json",
                           on_click="ignore", key=f"{name}-json", type="tertiary")


def _write(form: Callable[[Rows, Sequence[str]], str], rows: Rows | Callable[[], Rows], protocol: Sequence[str]) -> str:
    return form(rows() if callable(rows) else rows, protocol)
