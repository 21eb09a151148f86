"""Stop 4: mask and update apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from app.learn import controls, frame, query, requests
from app.learn.charts.masks import all_masks, mask_bars, mask_names, repairs, shares
from app.learn.findings import masks as findings
from app.learn.query import PRE, Lesson
from app.shared import layout
from app.shared.chart_downloads import take_away
from core.records.lessons import COMPARED, Masks

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


def draw(lesson: Lesson) -> None:
    """Draw stop 4."""
    found: Masks | None = frame.ask(requests.masks(lesson), "masks")
    with frame.beside(lesson, partial(_masks_text, found)):
        _controls(lesson)
        if found is None:
            return
        chosen = mask_names().index(_names()[lesson.mask])
        finding = findings.masks_finding(found, chosen, lesson.row, lesson.columns)
        layout.sentence(finding)
        frame.chart(mask_bars(found, chosen, theme=layout.theme(), height=225), "masks", lesson, finding, pressed=_pick)
        st.segmented_control("Below", list(_LOWER), key=f"{PRE}lower", format_func=_LOWER.__getitem__, required=True,
                             persist_state="session", label_visibility="collapsed")
        lower = repairs(found, chosen, theme=layout.theme(), height=205) if lesson.lower == "updates" else all_masks(
            found, theme=layout.theme(), height=205)
        frame.chart(lower, f"lower-{lesson.lower}", lesson, finding)
        take_away("learn-masks", partial(_mask_rows, found), (controls.describe(lesson), f"row {lesson.row}, p = {lesson.sparsity:g}"))


def _controls(lesson: Lesson) -> None:
    row, sparsity, block = st.columns(3, gap="medium", vertical_alignment="bottom")
    with row:
        controls.row_slider(lesson)
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
        frame.exercises(findings.masks_exercises(found))


def _mask_rows(found: Masks) -> list[dict[str, object]]:
    return [{"mask": name, "removed": " ".join(str(j) for j in mask.nonzero()[0]), "no_mask_avoids": float(part[0]),
             "masks": float(part[1]), "updates": float(part[2]), "place": int(rank) + 1}
            for name, mask, part, rank in zip(mask_names(), found.pruned, shares(found), found.rank, strict=True)]
