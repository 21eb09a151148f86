"""A chart on a page."""

from __future__ import annotations

import re
from html import escape
from typing import Any

import plotly.graph_objects as go
import streamlit as st

_TAGS = re.compile(r"<[^>]*>")


def plot(figure: go.Figure, **more: Any) -> Any:
    """Draw a figure. `more` are the words of `st.plotly_chart`.

    A title inside a chart cannot be wrapped: on a narrow screen it ran into the legend and out of the page. There the same title stands
    above the chart as text instead (style.css shows one of the two); a PNG always has its own.
    """
    text = figure.layout.title.text  # pyright: ignore[reportAttributeAccessIssue]
    if text:
        st.html(f"<div class='ps-chart-title' aria-hidden='true'>{escape(' '.join(_TAGS.sub(' ', text).split()))}</div>")
    return st.plotly_chart(figure, theme=None, **more)
