"""Stop 7: what a few strong rows do, from a small matrix to a layer to perplexity."""

from __future__ import annotations

import math
from functools import partial

import streamlit as st

from app.learn import controls, frame, query, requests
from app.learn.charts.outlier_rows import readings, row_choices, strong_rows
from app.learn.findings import outlier_rows as findings
from app.learn.query import PRE, Lesson
from app.shared import alpha_effect as whole
from app.shared import layout, numbers
from app.shared.chart_downloads import take_away
from app.shared.charts.alpha_effect import alpha_effect
from app.shared.page_links import OUTLIERS
from core.records.lessons import STRENGTHS, StrongRow
from core.spec.patterns import Structured

_SCALES = {"matrix": "This matrix", "model": "Layer and model"}
_LABELS = ("the rows of most energy", "")
_TEXT = r"""
Whole columns go, for all rows at once. So the rows must agree on which: those of least

$$v_j = \sum_i W_{ij}^2\, G_{jj}$$

over the rows that are pruned. A row of large weights can make up most of each sum: then the columns that *it* needs least go, whatever
the others need. What a row has to lose is its energy,

$$h_i = \lVert W_iX\rVert^2 = W_i G W_i^\top .$$

**Outlier rows** are left dense: the $\lceil\alpha c\rceil$ rows of greatest $h_i$ (Ilin & Richtárik 2025). They lose nothing and have no
say. To keep the total, more columns go from the others, $s = \lceil p\,b/(1-\alpha)\rceil$; on the small matrix $\alpha$ counts as
whole rows.

Whether that is a good bargain is a question for the numbers. The control is to keep as many *other* rows: if those do as well, it was
not the energy that mattered.
"""


def draw(lesson: Lesson) -> None:
    """Draw stop 7."""
    if lesson.scale == "model":
        with frame.beside(lesson, partial(_text, None, lesson)):
            _controls(lesson)
            _draw_model(lesson)
        return
    found: StrongRow | None = frame.ask(requests.rows(lesson), "rows")
    with frame.beside(lesson, partial(_text, found, lesson)):
        _controls(lesson)
        if found is not None:
            _draw_matrix(lesson, found)


def _controls(lesson: Lesson) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="learn-rows-controls"):
        st.segmented_control("Of", list(_SCALES), key=f"{PRE}scale", format_func=_SCALES.__getitem__, required=True,
                             persist_state="session", label_visibility="collapsed", width="content")
        if lesson.scale == "matrix":
            controls.row_slider(lesson, width=100)
            _second_row(lesson)
            times = "Strong rows times" if lesson.second != query.NO_ROW else "That row times"
            st.slider(times, STRENGTHS[0], STRENGTHS[-1], key=f"{PRE}factor", step=0.5, format="%g", persist_state="session",
                      width=120)
        else:
            controls.layer_box(lesson, width=260)
        st.slider("Columns to remove", 0.05, 0.9, key=f"{PRE}share", step=0.05, format="percent", persist_state="session", width=130)
        top = max(0.05, min(0.5, round(1 - lesson.share - 0.05, 2)))
        st.slider("Outlier rows α", 0.0, top, key=f"{PRE}alpha", step=0.05, persist_state="session", width=110)


def _second_row(lesson: Lesson) -> None:
    choices = [query.NO_ROW, *(row for row in range(lesson.rows) if row != lesson.row)]
    st.selectbox("and row", choices, key=f"{PRE}second", format_func=lambda row: "none" if row == query.NO_ROW else str(row),
                 persist_state="session", width=80)


def _draw_matrix(lesson: Lesson, found: StrongRow) -> None:
    count = min(math.ceil(round(lesson.alpha * lesson.rows, 9)), len(found.error) - 1)
    finding = findings.rows_finding(found, count)
    layout.sentence(finding)
    frame.chart(strong_rows(found, count, theme=layout.theme(), height=275), "rows", lesson, finding)
    which, many = st.columns(2, gap="medium")
    with which:
        frame.chart(row_choices(found, count, theme=layout.theme(), height=200), "row-choices", lesson, finding)
    with many:
        frame.chart(alpha_effect(readings(found), count / lesson.rows, title="error ÷ energy", show=numbers.error, labels=_LABELS,
                                 theme=layout.theme(), height=200), "alpha-small", lesson, "The error against α, beside other rows.")
    strong = f"row {' and '.join(map(str, found.strong))} times {lesson.factor:g}"
    take_away("learn-rows", partial(_rows, found), (controls.describe(lesson), strong))


def _draw_model(lesson: Lesson) -> None:
    """A layer's error and the model's perplexity over α: the figure of the page Outlier rows."""
    spec = query.SPEC.model_copy(update={"pattern": Structured(sparsity=lesson.share, outlier_rows=lesson.alpha)})
    whole.draw(spec, lesson.layer, height=400 if lesson.present else 330)
    st.page_link(OUTLIERS, label="More on the page Outlier rows: every layer, its rows one by one, calibration seeds")


def _text(found: StrongRow | None, lesson: Lesson) -> None:
    st.markdown(_TEXT)
    if found is not None:
        frame.exercises(findings.rows_exercises(found))


def _rows(found: StrongRow) -> list[dict[str, object]]:
    return [{"rows_kept": one.kept, "alpha": one.alpha, "relative_error": one.value, "counted_sparsity": one.counted_sparsity,
             "choice": one.draw} for one in readings(found)]
