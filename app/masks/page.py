"""The Masks page: which weights of a layer went, the whole of them and a window of them; one mask, or two against each other."""

from __future__ import annotations

import streamlit as st

from app.masks import controls, mask_answers
from app.masks.findings import mask_finding, pair_finding
from app.masks.panels import HEIGHT, draw_loupe, draw_overview
from app.masks.query import OWN, read_window
from app.masks.questions import Mask, Pair
from app.shared import address, answers, large_model, layer_choice, layout, numbers, previews, run_page, whole_shapes
from app.shared.findings import wording
from app.shared.findings.wording import WEIGHED
from app.shared.first_paint import first_paint
from app.shared.layout import Figure
from core.spec import RunSpec

_PROMISE = ("Here you will see which weights of a layer go: the whole matrix as densities, a window of it weight by weight, "
            "and how two masks differ.")


def draw() -> None:
    """Draw the whole page, from its link."""
    spec = run_page.begin("masks", "Which weights went?", own=OWN)
    if spec is not None:
        _draw(spec)
    address.write(spec)


def _draw(spec: RunSpec) -> None:
    if whole_shapes.draw_alone(spec):
        return
    known = layer_choice.finished(spec)
    shapes = layer_choice.shapes(spec, known)
    if not shapes:
        layout.sentence(_PROMISE)
        return
    whole = large_model.is_whole(spec)
    if whole is None:
        return
    layer = layer_choice.wanted(shapes)
    known = known or (None if not whole or (layer and spec.allocation == "even") else layer_choice.preview(spec))
    layer = layer or layer_choice.worst_of(known) or ("" if whole and not previews.offered(spec) else next(iter(shapes)))
    if not layer:
        layout.sentence(_PROMISE)
        return
    layer_choice.settle(layer, layer_choice.worst_of(known) if known and known.fits else "")
    other = controls.draw(spec, shapes, layer)
    start = read_window(shapes[layer])
    about = f"A: {wording.describe(spec)}" if other else wording.describe(spec)
    layout.heading(about, f"against B: {wording.describe(other)}" if other else "", "from the dense model's Gram matrices")
    one, compared = layer_choice.with_own_share(spec, known, layer), other
    if other and (other.pattern, other.allocation) == (spec.pattern, spec.allocation):
        other = other.model_copy(update={"pattern": one.pattern, "allocation": one.allocation})
    shown, window = mask_answers.ask(one, other, layer, shapes[layer], start)
    answers.tell(shown, "Solving this layer")
    answer: Mask | Pair | None = shown.answer
    if answer is None:
        return
    with st.container(key="masks" if shown.fits else "old-answer-masks", gap="small"):
        _draw_words(spec, compared or spec, answer)
        mask_answers.draw_standing(answer, one, layer, shapes[layer])
        if first_paint():
            st.container(height=HEIGHT, border=False)
            return
        with st.container(horizontal=True, gap="medium"):
            with st.container(key="side-whole"):
                draw_overview(answer, start, one, other, layer)
            with st.container(key="side-window"), st.container(key="window" if window.fits else "old-answer-window"):
                draw_loupe(window, one, other, layer, shapes[layer])


def _draw_words(a: RunSpec, b: RunSpec, answer: Mask | Pair) -> None:
    if isinstance(answer, Mask):
        layout.sentence(mask_finding(answer))
        return
    counted = answer.overlap
    layout.figures((
        Figure(label="Agreement", value=numbers.percent(counted.agreement),
               note=f"{numbers.percent(counted.agreement_by_chance)} by chance",
               hover="Weights with the same fate in both; by chance: pq + (1 − p)(1 − q)"),
        Figure(label="Removed by both", value=numbers.count(counted.both),
               note=f"{numbers.percent(counted.both / counted.entries)} of the weights"),
        Figure(label="Only by A", value=numbers.count(counted.only_a), note=numbers.percent(counted.only_a / counted.entries)),
        Figure(label="Only by B", value=numbers.count(counted.only_b), note=numbers.percent(counted.only_b / counted.entries)),
        Figure(label="Jaccard index", value=numbers.index(counted.jaccard), note=f"{numbers.index(counted.jaccard_by_chance)} by chance",
               hover="Removed by both over removed by either"),
    ))
    layout.sentence(pair_finding(wording.describe(a), wording.describe(b), answer) + (f" {WEIGHED}" if a.fisher else ""))
