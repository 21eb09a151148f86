"""Stop 8: zeros beside structures that really go, at equal numbers of parameters left."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.learn import frame, query
from app.learn.findings.shapes import shape_exercises, shown_points
from app.learn.query import PRE, Lesson
from app.shared import layout
from app.shared.chart_downloads import take_away
from app.shared.charts.shapes import MEASURES, OVERS, shape_curves
from app.shared.findings.shapes import shape_finding
from app.shared.page_links import CURVES
from app.shared.sweeps.points import Point
from app.shared.sweeps.series import by_kind
from app.shared.sweeps.stored import points_like, with_measurements
from app.shared.sweeps.tables import point_rows

_TEXT = r"""
A zero is still a number: the matrix keeps its shape, so file and speed stay as they were. What makes a model **smaller** is to take a
structure out of every layer that shares it:

* a **neuron** of an MLP is column $j$ of the layer that reads it, and row $j$ of those that make it;
* a **head** of an attention is some columns of the output projection, and its rows of queries, keys and values;
* a **block** is all of its layers.

The columns that stay can make up for those that go, all at once (Ilin & Richtárik 2025):

$$\Delta_K = W_S\, H_{SK}\, H_{KK}^{-1}$$

A block that goes leaves nothing behind to make up for it: the others stay as they are.

The larger the pieces, the fewer choices there are. One zero may go anywhere; a block goes whole. So at equal numbers of parameters left
zeros cost least, and only the others are worth bytes and time. Outlier rows cannot stay dense here: a row would keep its inputs, and a
smaller matrix has them for no row.
"""
_NONE = ("No run of the demo model is here whose structures are gone. On Curves, the view Parameters left has a button that computes them.")


def draw(lesson: Lesson) -> None:
    """Draw stop 8."""
    points = shown_points(points_like(query.SPEC))
    if lesson.across != "parameters":
        points = tuple(point for point in with_measurements(points) if point.worth is not None)
    with frame.beside(lesson, partial(_text, points)):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="learn-shapes-controls"):
            st.segmented_control("Across", list(OVERS), key=f"{PRE}across", format_func=OVERS.__getitem__, required=True,
                                 persist_state="session", label_visibility="collapsed", width="content")
        if not points:
            layout.sentence(_NONE)
        else:
            _draw_chart(lesson, points)
        st.page_link(CURVES, label="More on the page Curves: other methods, seeds, models", query_params={"tab": "shapes"})


def _draw_chart(lesson: Lesson, points: tuple[Point, ...]) -> None:
    series = by_kind(points, MEASURES[lesson.across])
    finding = shape_finding(series, points[0].dense, lesson.across)
    layout.sentence(finding)
    frame.chart(shape_curves(series, points[0].dense, over=lesson.across, theme=layout.theme(), height=430), "shapes", lesson, finding)
    take_away("learn-shapes", partial(point_rows, points), (f"evaluation: {points[0].pruned.protocol}",))


def _text(points: tuple[Point, ...]) -> None:
    st.markdown(_TEXT)
    if points:
        frame.exercises(shape_exercises(points), "the demo model's runs")
