"""Stop 6: convergence to the optimum of a mask."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.learn import controls, frame, requests
from app.learn.charts.convergence import descent_curves
from app.learn.findings import convergence as findings
from app.learn.query import PRE, Lesson
from app.shared import answers, layout
from app.shared.chart_downloads import take_away
from core.records import DESCENTS, Convergence

_OVER = {"iterations": "iterations", "seconds": "time"}
_TEXT = r"""
For a mask that is given, the best kept weights minimize

$$f(\hat W) = \operatorname{tr}\,(\hat W-W)\,G\,(\hat W-W)^\top,\quad \hat W = 0 \text{ on } M$$

No method needs $X$ for this, only $G$: off the mask the gradient is $2(\hat W-W)G$.

**SGD** and **Adam** go down the gradient. **ADMM** solves without the mask, cuts to the mask, and keeps account of the difference in $U$:

$$Z = (\tilde W+U)\ \text{off}\ M,\quad U \leftarrow U+\tilde W-Z$$

$$\tilde W \leftarrow \big(\tilde W_0 A+\rho(Z-U)\big)(A+\rho I)^{-1}$$

It pays for one factorization first. **Conjugate gradients**, with the diagonal of $G$ as preconditioner, need none. For all four an
iteration is one product of $c\times b$ with $b\times b$. SparseGPT's sweep does not iterate; it ends where it ends.
Times are those of one core, where no GPU computes.

This stop is about a whole layer of the demo model. The best possible is undamped. ADMM is damped (λ = 0.1): it nears the optimum of the
damped error, which cannot be better.
"""


def draw(lesson: Lesson) -> None:
    """Draw stop 6."""
    shown = answers.ask(requests.convergence(lesson), "learn-convergence")
    found: Convergence | None = shown.answer if shown.fits else None
    with frame.beside(lesson, partial(_text, found)):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="learn-convergence-controls"):
            controls.layer_box(lesson, width=260)
            st.slider("Sparsity p", 0.05, 0.95, key=f"{PRE}sparsity", step=0.05, format="percent", persist_state="session", width=150)
            st.segmented_control("Over", list(_OVER), key=f"{PRE}over", format_func=_OVER.__getitem__, required=True,
                                 persist_state="session", label_visibility="collapsed", width="content")
        answers.tell(shown, "Computing this layer")
        if found is None:
            _draw_old(lesson, shown.answer)
            return
        finding = findings.convergence_finding(found, lesson.layer)
        layout.sentence(finding)
        frame.chart(descent_curves(found, over=lesson.over, theme=layout.theme()), "convergence", lesson, finding)
        take_away("learn-convergence", partial(_rows, found), (f"{lesson.layer}, Wanda's mask at p = {lesson.sparsity:g}",
                                                              f"optimum {found.optimum!r}, SparseGPT's sweep {found.sweep!r}"))


def _draw_old(lesson: Lesson, before: Convergence | None) -> None:
    """The curves of the layer or sparsity before, until the new ones are there: a large layer takes longer than a moment."""
    if before is not None:
        with st.container(key="old-answer-convergence"):
            frame.chart(descent_curves(before, over=lesson.over, theme=layout.theme()), "convergence", lesson, "The answer before.")


def _text(found: Convergence | None) -> None:
    st.markdown(_TEXT)
    if found is not None:
        frame.exercises(findings.convergence_exercises(found), "this layer")


def _rows(found: Convergence) -> list[dict[str, object]]:
    return [{"descent": DESCENTS[trace.name], "iteration": count, "relative_error": error, "seconds": seconds}
            for trace in found.traces for count, (error, seconds) in enumerate(zip(trace.errors, trace.seconds, strict=True))]
