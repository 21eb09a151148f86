"""Texts side by side: one prompt, the dense model and up to three pruned ones, token by token; nothing blocks the page."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.shared import answers, layout, numbers, state, tables
from app.shared.findings import wording
from app.shared.plot import plot
from app.shared.pressed_marks import pressed_word
from app.shared.style import chart_config, run_marks
from app.tryout import text_charts, text_controls, text_findings
from app.tryout.text_query import TextAsked, specs_of
from app.tryout.text_questions import TextQuestion
from core.records.continuations import Continuation
from core.spec import METHOD_LABELS, RunSpec

_POLL, _WAIT = 0.25, 0.12
_TOGETHER = 4  # tokens asked for at a time, after the first
PLACE, _CHART = "tryout-text", "tryout-divergences"


def draw(spec: RunSpec, asked: TextAsked) -> None:
    """Controls, texts, and the charts at the cursor."""
    specs, refused = specs_of(spec, asked)
    text_controls.draw(spec, asked)
    layout.complaints(refused)
    first, *others = specs
    question = TextQuestion(spec=first, others=tuple(others), prompt=asked.prompt, temperature=asked.temperature, seed=asked.text_seed,
                            tokens=asked.tokens)
    if state.recall("text-question", None) != question:
        state.remember("text-question", question)
        for name in ("text-stopped", "text-found", "text-problem"):
            state.forget(name)
    layout.heading(wording.describe(spec), "the dense model beside it")
    st.fragment(_draw_texts, run_every=_POLL if _active(question) else None)(question)


def _active(question: TextQuestion) -> bool:
    found: Continuation | None = state.recall("text-found", None)
    going = found is None or not (found.over or found.length >= question.tokens)
    return going and not state.recall("text-stopped", False) and not state.recall("text-problem", "")


def _draw_texts(question: TextQuestion) -> None:
    """Ask for the next tokens, and draw what is there."""
    was_active = _active(question)
    if was_active:
        _ask(question)
    if was_active and not _active(question):
        st.rerun()  # and look no more
    found: Continuation | None = state.recall("text-found", None)
    names = _names(question)
    _draw_state(question, found)
    if found is None:
        return
    layout.sentence(text_findings.finding(found, names))
    cursor = _cursor(found)
    st.html(text_findings.columns(found, names, cursor))
    layout.aside(_about(found, names))
    if not was_active and found.places:
        _draw_charts(question, found, names, cursor)


def _ask(question: TextQuestion) -> None:
    found: Continuation | None = state.recall("text-found", None)
    have = found.length if found else 0
    count = min(question.tokens, have + _TOGETHER if have else 1)
    asked = answers.look(question.model_copy(update={"tokens": count}), PLACE, wait=_WAIT)
    if asked.state == "ready":
        state.remember("text-found", asked.answer)
    elif asked.state == "failed" and not asked.lost:
        state.remember("text-problem", asked.error or "")


def _draw_state(question: TextQuestion, found: Continuation | None) -> None:
    """Progress with Stop, the way to go on, or the reason why there is no text."""
    problem, stopped = state.recall("text-problem", ""), state.recall("text-stopped", False)
    have = found.length if found else 0
    if problem:
        layout.note(problem, tone="bad", title="No text.")
        st.button("Try again", key="text-again", on_click=state.forget, args=("text-problem",))
    elif _active(question):
        with st.container(horizontal=True, vertical_alignment="center"):
            words = f"{have} of {question.tokens} tokens" if have else "The weights are made ready …"
            st.progress(have / question.tokens, text=words)
            st.button("Stop", key="text-stop", on_click=_stop)
    elif stopped and not (found and found.over):
        with st.container(horizontal=True, vertical_alignment="center"):
            layout.aside(f"Stopped after {numbers.plural(have, 'token')}.")
            st.button("Go on", key="text-go-on", on_click=state.forget, args=("text-stopped",))


def _stop() -> None:
    """Ask no more; what the worker was asked ends between two tokens."""
    state.remember("text-stopped", True)
    answers.leave(PLACE)


def _names(question: TextQuestion) -> list[str]:
    labels = [METHOD_LABELS[spec.method.name] for spec in (question.spec, *question.others)]
    return [label if labels.count(label) == 1 else f"{label} ({place})" for place, label in enumerate(labels, 1)]


def _about(found: Continuation, names: list[str]) -> str:
    guessed = [name for name, exact in zip(names, found.exact, strict=True) if not exact]
    source = (f" {wording.listed(guessed)}: every layer is pruned from the dense model's Gram matrices, as in a preview; after a run its "
              "own weights are used." if guessed else " The weights are those of finished runs.")
    return ("Marked: tokens that are not in the dense model's text." + source
            + (" The context is full." if found.full and not all(text.ended for text in (found.dense, *found.pruned)) else ""))


def _cursor(found: Continuation) -> int:
    """The dense token that is looked at: chosen below, pressed in the chart, or the one where the first text parts."""
    pressed = pressed_word(_CHART)
    chosen = state.recall("text-cursor", None)
    if isinstance(pressed, int) and pressed != state.recall("text-pressed", None):
        state.remember("text-pressed", pressed)
        state.remember("text-cursor", pressed)
        chosen = pressed
    parts = min((text_findings.common(found.dense.tokens, text.tokens) for text in found.pruned), default=0)
    place = parts if chosen is None else chosen - 1
    return max(0, min(place, len(found.places) - 1))


def _draw_charts(question: TextQuestion, found: Continuation, names: list[str], cursor: int) -> None:
    marks = run_marks([spec.method.name for spec in (question.spec, *question.others)])
    left, right = st.columns([3, 2], gap="medium")
    with left:
        plot(text_charts.divergences(found, names, marks, cursor, theme=layout.theme()), key=_CHART, on_select="rerun",
             selection_mode="points", config=chart_config("divergences"), alt=text_findings.finding(found, names))
        if len(found.places) > 1:
            state.set_widget("text-place", cursor + 1)
            st.slider("Token looked at", 1, len(found.places), key="text-place", on_change=_moved)
        st.download_button("Every token as CSV", partial(_csv, question, found, names), "texts.csv", "text/csv", on_click="ignore",
                           key="text-csv")
    with right:
        layout.sentence(text_findings.place_words(found.places[cursor], names, cursor + 1))
        plot(text_charts.distributions(found.places[cursor], names, marks, theme=layout.theme()), key="tryout-distributions",
             config=chart_config("next-token"), alt=text_findings.place_words(found.places[cursor], names, cursor + 1))


def _moved() -> None:
    state.remember("text-cursor", state.widget("text-place"))


def _csv(question: TextQuestion, found: Continuation, names: list[str]) -> str:
    models = [f"{name}: {spec.title}" for name, spec in zip(names, (question.spec, *question.others), strict=True)]
    return tables.rows_csv(text_findings.rows(found, names), (
        f"prompt: {question.prompt}", *models, "KL in nats, dense to pruned, after the dense model's text"))
