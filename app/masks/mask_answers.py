"""The mask of a layer and its window: of a large layer whose solution takes long, a picture from some rows first."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app.masks.questions import FirstMaskQuestion, Mask, MaskQuestion, Pair, PairQuestion, WindowQuestion
from app.shared import answers, layout, numbers, state
from app.shared.answers import Shown
from app.shared.questions.first_look import FirstLookQuestion
from core.records.previews import is_large
from core.spec import RunSpec

_ALL_ROWS = "masks-all-rows"
_NOTHING = Shown(answer=None, fits=True)


def ask(spec: RunSpec, other: RunSpec | None, layer: str, shape: tuple[int, int], start: tuple[int, int]) -> tuple[Shown, Shown]:
    """The mask, or the pair, and the window that begins at `start`."""
    slow = is_large(*shape) and not all(item.leaves_kept_weights for item in (spec, other) if item is not None)
    window = WindowQuestion(spec=spec, layer=layer, row=start[0], column=start[1], other=other, behind=slow)
    if other is not None:
        return answers.ask(PairQuestion(spec=spec, other=other, layer=layer, behind=slow), "pair"), answers.ask(window, "window")
    if not is_large(*shape):
        return answers.ask(MaskQuestion(spec=spec, layer=layer), "mask"), answers.ask(window, "window")
    first = answers.ask(FirstMaskQuestion(spec=spec, layer=layer, behind=slow), "first-mask")
    if not slow:
        return first, answers.ask(window, "window")
    if not first.fits or state.recall(_ALL_ROWS, None) != (spec, layer):
        for place in ("mask", "window"):
            answers.leave(place)
        return first, _NOTHING
    whole = answers.ask(MaskQuestion(spec=spec, layer=layer, behind=True), "mask", wait=0.0)
    if not whole.fits:
        return replace(whole, answer=first.answer, fits=True), _NOTHING
    return whole, answers.ask(window, "window")


def draw_standing(answer: Mask | Pair, spec: RunSpec, layer: str, shape: tuple[int, int]) -> None:
    """Basis of a picture from some rows, and the way to all of them."""
    if not isinstance(answer, Mask) or answer.sampled is None:
        return
    layout.aside(f"≈ {numbers.count(answer.sampled)} of {numbers.count(shape[0])} rows were pruned alone, one at random of each band, and "
                 "each stands for its band. Weight by weight it is shown once all rows are solved.")
    if state.recall(_ALL_ROWS, None) == (spec, layer):
        return
    looked = answers.ask(FirstLookQuestion(spec=spec, layer=layer, behind=True), "mask-seconds")
    about = f": about {numbers.seconds(looked.answer.seconds)}" if looked.fits else ""
    st.button(f"Solve it on all rows{about}", key="masks_all_rows", type="tertiary", on_click=state.remember,
              args=(_ALL_ROWS, (spec, layer)))
