"""Stops 4 and 5: mask or update, and which formula."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from app.learn import findings as say
from app.learn import frame, query, requests
from app.learn.charts.masks import FORMULA_NAMES, all_masks, formula_losses, formula_panels, mask_bars, mask_names, repairs, shares
from app.learn.query import PRE, Lesson
from app.shared import layout
from app.shared.chart_downloads import take_away
from core.records.lessons import COMPARED, FORMULAS, Formulas, Masks

_LOWER = {"masks": "Every mask", "updates": "Every update"}
_MASKS = r"""
A method makes two choices: the mask $M$, and the kept weights. For a mask the best kept weights are least squares, so its least loss
$f^*(M)$ belongs to the **mask** alone; what a method leaves above it is its **update's** fault. With $f^*_{\min}$ the least over all masks,

$$f(\hat W) = f^*_{\min} + \big(f^*(M) - f^*_{\min}\big) + \big(f(\hat W) - f^*(M)\big)$$

The first part is unavoidable at this sparsity, the second is due to the mask, the third to the update.

To know $f^*_{\min}$ every mask must be tried. A row of 12 inputs has at most 924 of a size; one of 4096 has more than the universe has
atoms. So this figure is about one row, its first 12 inputs, and it is exact.

Press a bar to choose a mask. Below, see where it stands among all masks, or what each kind of update makes of it.
"""
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


def draw_masks(lesson: Lesson) -> None:
    """Mask or update?"""
    found: Masks | None = frame.ask(requests.masks(lesson), "masks")
    with frame.beside(lesson, partial(_masks_text, found)):
        _controls(lesson)
        if found is None:
            return
        chosen = mask_names().index(_names()[lesson.mask])
        finding = say.masks_finding(found, chosen, lesson.row, lesson.columns)
        layout.sentence(finding)
        frame.chart(mask_bars(found, chosen, theme=layout.theme(), height=225), "masks", lesson, finding, pressed=_pick)
        st.segmented_control("Below", list(_LOWER), key=f"{PRE}lower", format_func=_LOWER.__getitem__, required=True,
                             persist_state="session", label_visibility="collapsed")
        lower = repairs(found, chosen, theme=layout.theme(), height=205) if lesson.lower == "updates" else all_masks(
            found, theme=layout.theme(), height=205)
        frame.chart(lower, f"lower-{lesson.lower}", lesson, finding)
        take_away("learn-masks", partial(_mask_rows, found), (frame.describe(lesson), f"row {lesson.row}, p = {lesson.sparsity:g}"))


def _controls(lesson: Lesson) -> None:
    row, sparsity, block = st.columns(3, gap="medium", vertical_alignment="bottom")
    with row:
        frame.row_slider(lesson)
    with sparsity:
        st.slider("Sparsity p", 0.05, 0.95, key=f"{PRE}sparsity", step=0.05, format="percent", persist_state="session")
    with block:
        st.slider("Block size B", 1, lesson.columns, key=f"{PRE}block", persist_state="session")


def _names() -> dict[str, str]:
    return dict(zip((*COMPARED, "best"), mask_names(), strict=True))


def _pick(place: Sequence[Any]) -> None:
    query.change(mask=(*COMPARED, "best")[place[0]])


def _masks_text(found: Masks | None) -> None:
    st.markdown(_MASKS)
    if found is not None:
        frame.exercises(say.masks_exercises(found))


def _mask_rows(found: Masks) -> list[dict[str, object]]:
    return [{"mask": name, "removed": " ".join(str(j) for j in mask.nonzero()[0]), "no_mask_avoids": float(part[0]),
             "masks": float(part[1]), "updates": float(part[2]), "place": int(rank) + 1}
            for name, mask, part, rank in zip(mask_names(), found.pruned, shares(found), found.rank, strict=True)]


def draw_formulas(lesson: Lesson) -> None:
    """Which formula is right?"""
    answer: tuple[Formulas, Formulas | None] | None = frame.ask(requests.formulas(lesson), "formulas")
    found, whole = answer or (None, None)
    with frame.beside(lesson, partial(_formulas_text, found)):
        st.slider("Columns to remove", 0.05, 0.9, key=f"{PRE}share", step=0.05, format="percent", persist_state="session")
        if found is None:
            return
        finding = say.formulas_finding(found)
        layout.sentence(finding)
        frame.chart(formula_panels(found, theme=layout.theme(), height=295), "formulas", lesson, finding)
        frame.chart(formula_losses(found, theme=layout.theme(), height=160), "formula-losses", lesson, finding)
        if whole is not None:
            layout.aside(say.whole_finding(whole, lesson.layer))
        take_away("learn-formulas", partial(_formula_rows, found), (frame.describe(lesson), f"{lesson.share:g} of the columns"))


def _formulas_text(found: Formulas | None) -> None:
    st.markdown(_FORMULAS)
    layout.aside("Grey: removed. Red and blue: how far a weight has moved; in a frame, what is left of a column that should be gone.")
    if found is not None:
        frame.exercises(say.formulas_exercises(found))


def _formula_rows(found: Formulas) -> list[dict[str, object]]:
    return [{"formula": FORMULA_NAMES[name], "left_of_removed": float(left), "loss": float(loss), "over_right": float(loss / found.loss[1])}
            for name, left, loss in zip(FORMULAS, found.left, found.loss, strict=True)]
