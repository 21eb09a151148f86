"""Stop 7: what a few strong rows do, from a small matrix to a layer to perplexity."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from app.figures import lesson_findings as say
from app.figures import numbers
from app.figures.alpha_effect import alpha_effect
from app.figures.lesson_rows import layer_readings, small_readings, strong_rows
from app.questions.lessons import LayerAlphasQuestion, StrongRowQuestion
from app.questions.outliers import ModelPointQuestion
from app.ui import asking, layout, learn
from app.ui.lesson_words import PRE, Lesson
from app.ui.takeaway import take_away
from core.lessons.matrix import StrongRow
from core.outlier_records import LayerPoint, ModelPoint
from core.patterns import Structured
from core.spec import RunSpec

PAGE = Path(__file__).resolve().parents[2] / "pages" / "outliers.py"
_ALPHAS = (0.0, 0.05, 0.1, 0.2, 0.3)
_LABELS = ("the rows of most energy", "")
_TEXT = r"""
Whole columns go, for all rows at once. So the rows must agree on which, and a row with much energy

$$h_i = \lVert W_iX\rVert^2 = W_i G W_i^\top$$

pays most for what the others decide, and has most say in it: the columns of least $v_j = \sum_i W_{ij}^2 G_{jj}$ go. **Outlier rows**
are left dense: $\lceil\alpha c\rceil$ rows of greatest $h_i$ (Ilin & Richtárik 2025). They lose nothing and have no say; to keep the
total, more columns go from the others,

$$s = \left\lceil \frac{p\,b}{1-\alpha} \right\rceil .$$

So $\alpha$ helps where a few rows hold much of the energy, and costs where all are alike. To know which, keep as many rows **by lot**: if
these do as well, it was not the strong rows that mattered.

Make one row stronger and watch; then the same on a whole layer of the demo model, and on its perplexity.
"""


def draw(lesson: Lesson) -> None:
    """What do a few strong rows do?"""
    found: StrongRow | None = learn.ask(StrongRowQuestion(
        spec=learn.SPEC, matrix=lesson.matrix, row=lesson.row, factor=lesson.factor, sparsity=lesson.share), "rows")
    with learn.beside(lesson, partial(_text, found)):
        _controls(lesson)
        if found is None:
            return
        count = min(math.ceil(round(lesson.alpha * lesson.rows, 9)), len(found.error) - 1)
        finding = say.rows_finding(found, lesson.row, count)
        layout.sentence(finding)
        learn.chart(strong_rows(found, count, theme=layout.theme(), height=180), "rows", lesson, finding)
        _curves(lesson, found, count)
        _perplexity(lesson)


def _controls(lesson: Lesson) -> None:
    row, factor, share, alpha = st.columns(4, gap="medium", vertical_alignment="bottom")
    with row:
        learn.row_slider(lesson)
    with factor:
        st.slider("That row times", 1.0, 10.0, key=f"{PRE}factor", step=0.5, format="%g", persist_state="session")
    with share:
        st.slider("Columns to remove", 0.05, 0.9, key=f"{PRE}share", step=0.05, format="percent", persist_state="session")
    with alpha:
        top = max(0.05, min(0.5, round(1 - lesson.share - 0.05, 2)))
        st.slider("Outlier rows α", 0.0, top, key=f"{PRE}alpha", step=0.05, persist_state="session")


def _curves(lesson: Lesson, found: StrongRow, count: int) -> None:
    """The small matrix's error over α, and a whole layer's."""
    points: tuple[LayerPoint, ...] | None = learn.ask(LayerAlphasQuestion(
        spec=_spec(lesson, 0.0), layer=lesson.layer, alphas=tuple(alpha for alpha in _ALPHAS if alpha <= 1 - lesson.share)), "alphas")
    small, large = st.columns(2, gap="small")
    common: dict[str, Any] = {"show": numbers.error, "labels": _LABELS, "theme": layout.theme(), "height": 205}
    with small:
        learn.chart(alpha_effect(small_readings(found), count / lesson.rows, title="error, this matrix", **common), "alpha-small", lesson,
                    "The small matrix's error against α, beside random rows.")
    with large:
        if points is not None:
            learn.chart(alpha_effect(layer_readings(points), lesson.alpha, title="error, the whole layer", **common), "alpha-layer", lesson,
                        "The layer's error against α, beside random rows.")
    take_away("learn-rows", partial(_rows, found, points or ()), (learn.describe(lesson), f"row {lesson.row} times {lesson.factor:g}"))


def _perplexity(lesson: Lesson) -> None:
    """Three estimates of the whole model: none, the strongest, and random rows dense."""
    asked = {"none": (0.0, None), "strongest": (lesson.alpha, None), "random": (lesson.alpha, 0)}
    shown = {name: asking.ask(ModelPointQuestion(spec=_spec(lesson, alpha), draw=draw), f"learn-model-{name}", wait=0.02)
             for name, (alpha, draw) in asked.items()}
    points: dict[str, ModelPoint] = {name: one.answer for name, one in shown.items() if one.fits}
    problem = next((one.problem for one in shown.values() if one.problem), None)
    if problem:
        layout.note(problem, tone="bad")
    elif len(points) < len(asked):
        layout.aside("Estimating the whole model's perplexity …")
    else:
        layout.sentence(say.perplexity_finding(points["none"], points["strongest"], points["random"]))
        st.page_link(PAGE, label="More on the page Outlier rows: every layer, calibration seeds, equal sparsity")


def _spec(lesson: Lesson, alpha: float) -> RunSpec:
    return learn.SPEC.model_copy(update={"pattern": Structured(sparsity=lesson.share, outlier_rows=alpha)})


def _text(found: StrongRow | None) -> None:
    st.markdown(_TEXT)
    if found is not None:
        learn.exercises(say.rows_exercises(found))


def _rows(found: StrongRow, points: tuple[LayerPoint, ...]) -> list[dict[str, object]]:
    readings = [("this matrix", one) for one in small_readings(found)] + [("the layer", one) for one in layer_readings(points)]
    return [{"of": what, "rows_kept": one.kept, "alpha": one.alpha, "relative_error": one.value, "counted_sparsity": one.counted_sparsity,
             "draw": one.draw} for what, one in readings]
