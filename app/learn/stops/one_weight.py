"""Stop 1: cost of removing one weight."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from app.learn import controls, frame, query, requests
from app.learn.charts.one_weight import one_weight_matrix, rank_agreement
from app.learn.findings import one_weight as findings
from app.learn.query import Lesson
from app.shared import layout
from app.shared.chart_downloads import take_away
from core.records.lessons import OneWeight

_OBS = r"""
Take one weight $w_q$ out of a row and let the others of that row move, so that the output changes as little as possible. That is a
least-squares problem with one constraint, and its solution is the **Optimal Brain Surgeon** (OBS):

$$\Delta = -\frac{w_q}{[H^{-1}]_{qq}}\,H^{-1}_{q:}\qquad \text{loss} = \frac{w_q^2}{[H^{-1}]_{qq}}$$

Here $H = G + \lambda\,\overline{\operatorname{diag} G}\,I$ and the loss is $\Delta H\Delta^\top$. With the papers' $H = 2G$ and loss
$\tfrac12\Delta H\Delta^\top$ it reads $\tfrac12\,w_q^2/[H^{-1}]_{qq}$: the same number, the factors of 2 cancel.
"""
_OBD = r"""
**Optimal Brain Damage** looks at the diagonal only: $w_q^2 H_{qq}$ is the loss if nothing else moves. **Magnitude** does not look at the
inputs at all. If $H$ is diagonal OBD is OBS; if its diagonal is constant too, magnitude gives the same order. So what sets them apart is
how far inputs are correlated (the entries of $H$ beside the diagonal) and how unequal their energies are.
"""


def draw(lesson: Lesson) -> None:
    """Draw stop 1."""
    found: OneWeight | None = frame.ask(requests.one(lesson), "one")
    if found is None:
        return
    row, column = lesson.row, lesson.column
    with frame.beside(lesson, partial(_one_text, found, row, column)):
        finding = findings.one_weight_finding(found, row, column)
        layout.sentence(finding)
        frame.chart(one_weight_matrix(found, row, column, theme=layout.theme()), "one", lesson, finding, pressed=_pick)
        with st.container(horizontal=True, gap="large"):
            controls.row_slider(lesson)
            controls.input_slider(lesson, "column", "Input")
        frame.chart(rank_agreement(found, row, column, theme=layout.theme()), "ranks", lesson,
                    "The order of all weights by loss against the order by two simpler scores.")
        take_away("learn-one", partial(_one_rows, found), (controls.describe(lesson), "loss: tr(ΔHΔᵀ) a token"))


def _one_text(found: OneWeight, row: int, column: int) -> None:
    st.markdown(_OBS)
    st.markdown(findings.one_weight_formula(found, row, column))
    st.markdown(_OBD)
    st.markdown(findings.one_weight_reason(found, column))
    frame.exercises(findings.one_weight_exercises(found))


def _pick(place: Sequence[Any]) -> None:
    query.change(row=place[0], column=place[1])


def _one_rows(found: OneWeight) -> list[dict[str, object]]:
    return [{"row": i, "input": j, "weight": float(found.weight[i, j]), "loss": float(found.loss[i, j]),
             "loss_if_nothing_moves": float(found.diagonal[i, j])} for i, j in np.ndindex(found.weight.shape)]
