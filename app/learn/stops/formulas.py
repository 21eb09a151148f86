"""Stop 5: three formulas for the removal of columns."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.learn import controls, frame, requests
from app.learn.charts.formulas import FORMULA_NAMES, formula_losses, formula_panels
from app.learn.charts.matrix import GONE_WORDS
from app.learn.findings import formulas as findings
from app.learn.query import PRE, Lesson
from app.shared import layout
from app.shared.chart_downloads import take_away
from core.records.lessons import FORMULAS, Formulas

_FORMULAS = r"""
To remove whole columns $S$ from all rows, one update serves all:

$$\Delta = -W_S\,\big([H^{-1}]_{SS}\big)^{-1}[H^{-1}]_{S:}$$

(Thanos, Eq. 13 and Alg. 2; the same is $\Delta_K = W_S H_{SK} H_{KK}^{-1}$ without any inverse of $H$.) It is easy to get wrong, for
$([H^{-1}]_{SS})^{-1}$ is **not** $H_{SS}$: it is the Schur complement $H_{SS} - H_{SK}H_{KK}^{-1}H_{KS}$. Two slips:

1. $\Delta = -W_S\,H_{SS}\,[H^{-1}]_{S:}$ does not even remove the columns: $W_S + \Delta_S \ne 0$, but where $H_{SK} = 0$.
2. $\Delta = -W_S\,H_{SS}^{-1}\,H_{S:}$ removes them, and moves the others with $H$ where $H^{-1}$ belongs.

The Thanos paper prints its update in three places which do not agree: its Alg. 7 breaks the constraint, its Eq. 72 is worse than no
update on the layers where it was tried. The slips here are of these two kinds. They are not the printed lines, and exist in this lesson
only.
"""


def draw(lesson: Lesson) -> None:
    """Draw stop 5."""
    answer: tuple[Formulas, Formulas | None] | None = frame.ask(requests.formulas(lesson), "formulas")
    found, whole = answer or (None, None)
    with frame.beside(lesson, partial(_formulas_text, found)):
        st.slider("Columns to remove", 0.05, 0.9, key=f"{PRE}share", step=0.05, format="percent", persist_state="session")
        if found is None:
            return
        finding = findings.formulas_finding(found)
        layout.sentence(finding)
        frame.chart(formula_panels(found, theme=layout.theme(), height=295), "formulas", lesson, finding)
        frame.chart(formula_losses(found, theme=layout.theme(), height=160), "formula-losses", lesson, finding)
        if whole is not None:
            layout.aside(findings.whole_finding(whole, lesson.layer))
        take_away("learn-formulas", partial(_formula_rows, found), (controls.describe(lesson), f"{lesson.share:g} of the columns"))


def _formulas_text(found: Formulas | None) -> None:
    st.markdown(_FORMULAS)
    layout.aside(f"{GONE_WORDS[layout.theme()].capitalize()}: removed. "
                 "Red and blue: how far a weight has moved; in a frame, what is left of a column that should be gone.")
    if found is not None:
        frame.exercises(findings.formulas_exercises(found))


def _formula_rows(found: Formulas) -> list[dict[str, object]]:
    return [{"formula": FORMULA_NAMES[name], "left_of_removed": float(left), "loss": float(loss), "over_right": float(loss / found.loss[1])}
            for name, left, loss in zip(FORMULAS, found.left, found.loss, strict=True)]
