"""The preview of a run: a slow method's comes twice, from a few rows at once and then from all. That of a large model is asked for."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app.shared import answers, numbers, state
from app.shared.answers import Shown
from app.shared.questions.preview import PreviewQuestion
from core.records.previews import PreviewCost
from core.spec import RunSpec

_ALL = "all-rows"
_WANTED = "preview-of"  # the spec whose preview was asked for
_OFFERED = "preview-offered"  # the one that waits for that
PATIENCE = 15.0  # seconds by estimate: what takes longer is asked for by a button


def first(spec: RunSpec) -> PreviewQuestion:
    """First question of a preview. An earlier one of another spec ends before that: the same worker computes both."""
    if state.recall(f"{_ALL}-of", None) != spec:
        answers.leave(_ALL)
    return PreviewQuestion(spec=spec, at_once=True, patience=None if state.recall(_WANTED, None) == spec else PATIENCE)


def best(spec: RunSpec, shown: Shown) -> Shown:
    """The answer to `first`; where it is from a few rows, the one from all as soon as that is there."""
    state.remember(_OFFERED, spec if isinstance(shown.answer, PreviewCost) and shown.fits else None)
    if isinstance(shown.answer, PreviewCost):
        if shown.fits:
            _offer(spec, shown.answer)
        return replace(shown, answer=None, fits=False)
    if not shown.fits or shown.answer.rows is None:
        return shown
    state.remember(f"{_ALL}-of", spec)
    whole = answers.ask(PreviewQuestion(spec=spec), _ALL, wait=0.0)
    return whole if whole.fits else replace(whole, answer=shown.answer, fits=True)


def offered(spec: RunSpec) -> bool:
    """True if the preview of this spec waits for its button."""
    return state.recall(_OFFERED, None) == spec


def _offer(spec: RunSpec, cost: PreviewCost) -> None:
    """The button that starts a preview which takes longer than a person wants to wait at each move of a control."""
    st.button(f"Preview of the whole model: about {numbers.seconds(cost.seconds)}, {numbers.size(cost.held_bytes)} of memory",
              key="preview-wanted", on_click=state.remember, args=(_WANTED, spec),
              help="Every layer is solved, and the first windows of the text are read. It is not started by moving a control.")


def standing(rows: int | None) -> str:
    """Name of such an answer."""
    return "" if rows is None else f"estimate from {rows} rows of each layer"
