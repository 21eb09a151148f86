"""The two panels of the Masks page: the whole mask, and a window of it weight by weight."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.masks.charts import loupe, mask_overview, pair_overview, window_rows
from app.masks.query import WINDOW_WORDS
from app.masks.questions import WINDOW, Mask, MaskFileQuestion, Pair
from app.shared import address, answers, layout, resources, state
from app.shared.chart_downloads import Rows, take_away
from app.shared.downloads import fetch
from app.shared.plot import plot
from app.shared.pressed_marks import pressed_mark
from app.shared.style import chart_config
from app.workers.answers import Answers
from core.spec import RunSpec
from core.spec.patterns import pattern_word

HEIGHT, _PAIR_HEIGHT = 460, 410


def draw_overview(answer: Mask | Pair, start: tuple[int, int], spec: RunSpec, other: RunSpec | None, layer: str) -> None:
    theme = layout.theme()
    figure = (mask_overview(answer, start, theme=theme, height=HEIGHT) if isinstance(answer, Mask)
              else pair_overview(answer, start, theme=theme, height=_PAIR_HEIGHT))
    plot(figure, key="masks-overview",
                    config=chart_config(f"mask-{layer}"), on_select=_pressed, selection_mode="points",
                    alt="The whole matrix of weights, where they were removed")
    take_away("masks", partial(_rows, answer), (f"A: {spec.title}; B: {other.title}" if other else spec.title, layer,
                                                "shares of each row and column"))
    if isinstance(answer, Mask) and answer.sampled is not None:
        return
    name = f"{layer}-{spec.method.name}-{pattern_word(spec.pattern).replace(':', '-')}.png"
    st.download_button("The whole mask as PNG, one pixel a weight", partial(_png, resources.jobs().answers, spec, layer), name,
                       "image/png", on_click="ignore", key="masks-png", type="tertiary",
                       help="White is kept, black is removed; a row of the layer is a line.")


def draw_loupe(window: answers.Shown, spec: RunSpec, other: RunSpec | None, layer: str, shape: tuple[int, int]) -> None:
    if window.answer is None:
        return
    pair = other is not None
    group = spec.pattern.group
    plot(loupe(window.answer, group=group, columns=shape[1], pair=pair, theme=layout.theme(),
                          height=_PAIR_HEIGHT if pair else HEIGHT), key="masks-loupe", config=chart_config("mask-window"),
                    alt=f"Rows from {window.answer.row} and columns from {window.answer.column} on, weight by weight")
    take_away("mask-window", partial(window_rows, window.answer, pair=pair),
              (f"A: {spec.title}; B: {other.title}" if other else spec.title, layer, "weights before, and after A's pruning" if other
               else "weights before and after"))
    for column, word, size in zip(st.columns(2), WINDOW_WORDS, shape, strict=True):
        state.set_widget(f"masks_{word}", window.answer.row if word == "row" else window.answer.column)
        column.number_input(f"From {word}", 0, max(0, size - WINDOW), step=WINDOW, key=f"masks_{word}", on_change=_typed, args=(word,),
                            help="Or press into the whole mask.", disabled=size <= WINDOW)


def _typed(word: str) -> None:
    address.set_word(word, str(state.widget(f"masks_{word}") or ""))


def _pressed() -> None:
    """Move the loupe to where it was pressed. Pressed again, a point is given free by the browser: it is still that place."""
    place = pressed_mark("masks-overview") or state.recall("masks-pressed", None)
    if isinstance(place, list) and len(place) == len(WINDOW_WORDS) and all(isinstance(at, int | float) for at in place):
        state.remember("masks-pressed", place)
        for word, at in zip(WINDOW_WORDS, place, strict=True):
            address.set_word(word, str(max(0, int(at) - WINDOW // 2) or ""))


def _png(answers: Answers, spec: RunSpec, layer: str) -> bytes:
    """The file."""
    found = fetch(answers, MaskFileQuestion(spec=spec, layer=layer), "masks-png")
    assert isinstance(found, bytes)
    return found


def _rows(answer: Mask | Pair) -> Rows:
    if isinstance(answer, Mask):
        columns = {"row": {"removed": answer.rows}, "column": {"removed": answer.columns}}
    else:
        columns = {"row": {"only_a": answer.rows_a, "only_b": answer.rows_b},
                   "column": {"only_a": answer.columns_a, "only_b": answer.columns_b}}
    return [{"of": of, "index": at, **dict(zip(shares, values, strict=True))} for of, shares in columns.items()
            for at, values in enumerate(zip(*(share.tolist() for share in shares.values()), strict=True))]
