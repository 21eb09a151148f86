"""The Masks page: which weights of a layer went, the whole of them and a window of them; one mask, or two against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from app.layers.findings import WEIGHED
from app.masks import controls
from app.masks.charts import loupe, mask_overview, pair_overview, window_rows
from app.masks.findings import mask_finding, pair_finding
from app.masks.query import WINDOW_WORDS, read_place
from app.masks.questions import WINDOW, Mask, MaskFileQuestion, MaskQuestion, Pair, PairQuestion, WindowQuestion
from app.shared import address, answers, layer_choice, layout, numbers, resources, state
from app.shared.chart_downloads import Rows, take_away
from app.shared.downloads import fetch
from app.shared.findings import wording
from app.shared.first_paint import first_paint
from app.shared.layout import Figure
from app.shared.style import chart_config
from app.workers.answers import Answers
from core.spec import RunSpec
from core.spec.errors import BadInput
from core.spec.patterns import SemiStructured, pattern_word

_PROMISE = ("Here you will see which weights of a layer go: the whole matrix as densities, a window of it weight by weight, "
            "and how two masks differ.")
_HEIGHT, _PAIR_HEIGHT = 460, 410


def draw(spec: RunSpec) -> None:
    """The answer of the page."""
    known = layer_choice.finished(spec)
    shapes = layer_choice.shapes(spec, known)
    if not shapes:
        layout.sentence(_PROMISE)
        return
    layer = layer_choice.wanted(shapes)
    known = known or (None if layer and spec.allocation == "even" else layer_choice.preview(spec))
    layer = layer or layer_choice.worst_of(known)
    if not layer:
        layout.sentence(_PROMISE)
        return
    layer_choice.settle(layer, layer_choice.worst_of(known) if known and known.fits else "")
    other = controls.draw(spec, shapes, layer)
    start = _start(shapes[layer])
    about = f"A: {wording.describe(spec)}" if other else wording.describe(spec)
    layout.heading(about, f"against B: {wording.describe(other)}" if other else "", "from the dense model's Gram matrices")
    one, compared = layer_choice.with_own_share(spec, known, layer), other
    if other and (other.pattern, other.allocation) == (spec.pattern, spec.allocation):
        other = other.model_copy(update={"pattern": one.pattern, "allocation": one.allocation})
    if other is None:
        shown = answers.ask(MaskQuestion(spec=one, layer=layer), "mask")
    else:
        shown = answers.ask(PairQuestion(spec=one, other=other, layer=layer), "pair")
    window = answers.ask(WindowQuestion(spec=one, layer=layer, row=start[0], column=start[1], other=other), "window")
    answers.tell(shown, "Solving this layer")
    answer: Mask | Pair | None = shown.answer
    if answer is None:
        return
    with st.container(key="masks" if shown.fits else "old-answer-masks", gap="small"):
        _draw_words(spec, compared or spec, answer)
        if first_paint():
            st.container(height=_HEIGHT, border=False)
            return
        with st.container(horizontal=True, gap="medium"):
            with st.container(key="side-whole"):
                _draw_overview(answer, start, one, other, layer)
            with st.container(key="side-window"), st.container(key="window" if window.fits else "old-answer-window"):
                _draw_loupe(window, one, other, layer, shapes[layer])


def _start(shape: tuple[int, int]) -> tuple[int, int]:
    """Start of the loupe, from the link; a bad word is reported."""
    found: list[int] = []
    for word, size in zip(WINDOW_WORDS, shape, strict=True):
        try:
            at = read_place(word, address.word(word), size)
        except BadInput as error:
            address.refuse(word, f"{error} Used instead: 0.")
            at = 0
        found.append(max(0, min(at, size - WINDOW)))
    return found[0], found[1]


def _draw_words(a: RunSpec, b: RunSpec, answer: Mask | Pair) -> None:
    if isinstance(answer, Mask):
        layout.sentence(mask_finding(answer))
        return
    counted = answer.overlap
    share = counted.entries / 100
    layout.figures((
        Figure(label="Agreement", value=numbers.percent(counted.agreement),
               note=f"{numbers.percent(counted.agreement_by_chance)} by chance",
               hover="Weights with the same fate in both; by chance: pq + (1 − p)(1 − q)"),
        Figure(label="Removed by both", value=numbers.count(counted.both), note=f"{counted.both / share:.1f} % of the weights"),
        Figure(label="Only by A", value=numbers.count(counted.only_a), note=f"{counted.only_a / share:.1f} %"),
        Figure(label="Only by B", value=numbers.count(counted.only_b), note=f"{counted.only_b / share:.1f} %"),
        Figure(label="Jaccard index", value=f"{counted.jaccard:.3f}", note=f"{counted.jaccard_by_chance:.3f} by chance",
               hover="Removed by both over removed by either"),
    ))
    layout.sentence(pair_finding(wording.describe(a), wording.describe(b), answer) + (f" {WEIGHED}" if a.fisher else ""))


def _draw_overview(answer: Mask | Pair, start: tuple[int, int], spec: RunSpec, other: RunSpec | None, layer: str) -> None:
    theme = layout.theme()
    figure = (mask_overview(answer, start, theme=theme, height=_HEIGHT) if isinstance(answer, Mask)
              else pair_overview(answer, start, theme=theme, height=_PAIR_HEIGHT))
    st.plotly_chart(figure, theme=None, key="masks-overview",
                    config=chart_config(f"mask-{layer}"), on_select=_pressed, selection_mode="points",
                    alt="The whole matrix of weights, where they were removed")
    take_away("masks", partial(_rows, answer), (f"A: {spec.title}; B: {other.title}" if other else spec.title, layer,
                                                "shares of each row and column"))
    name = f"{layer}-{spec.method.name}-{pattern_word(spec.pattern).replace(':', '-')}.png"
    st.download_button("The whole mask as PNG, one pixel a weight", partial(_png, resources.jobs().answers, spec, layer), name,
                       "image/png", on_click="ignore", key="masks-png", type="tertiary",
                       help="White is kept, black is removed; a row of the layer is a line.")


def _draw_loupe(window: answers.Shown, spec: RunSpec, other: RunSpec | None, layer: str, shape: tuple[int, int]) -> None:
    if window.answer is None:
        return
    pair = other is not None
    group = spec.pattern.m if isinstance(spec.pattern, SemiStructured) else None
    st.plotly_chart(loupe(window.answer, group=group, columns=shape[1], pair=pair, theme=layout.theme(),
                          height=_PAIR_HEIGHT if pair else _HEIGHT), theme=None,
                    key="masks-loupe", config=chart_config("mask-window"),
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
    chart: Mapping[str, Mapping[str, Sequence[Mapping[str, object]]]] = state.widget("masks-overview") or {}
    points = [point.get("customdata") for point in chart.get("selection", {}).get("points", ())]
    place = points[0] if points else state.recall("masks-pressed", None)
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
