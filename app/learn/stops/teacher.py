"""The teacher's page: every figure for the projector, what reproduces it, and all exercises with their answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app.learn import frame, query, requests
from app.learn.findings import convergence, formulas, masks, one_weight, outlier_rows, steps, two_weights
from app.learn.findings.common import Exercise
from app.learn.findings.shapes import shape_exercises, shown_points
from app.learn.query import STOPS, Lesson
from app.shared import answers, layout
from app.shared.sweeps.stored import points_like
from app.workers.questions import Question

_POLL = 0.5
_TEXT = """
Choose a matrix, then open a figure *on the projector*: in a tab of its own, in large type, the text folded away. All that you see is in its
address: the matrix and its seed, the chosen weight, the step. Send the address, and all see the same numbers. The answers are computed
from the matrix of the line above; with another seed a class gets other numbers to find.
"""

_PLAN = Path(__file__).with_name("lesson_plan.md")


@dataclass(frozen=True)
class _Stop:
    number: int
    question: Callable[[Lesson], Question]
    exercises: Callable[[Any, Lesson], list[Exercise]]


_ENTRIES = (
    _Stop(1, requests.one, lambda found, lesson: one_weight.one_weight_exercises(found)),
    _Stop(2, requests.two, lambda found, lesson: two_weights.pair_exercises(found, lesson.row)),
    _Stop(3, requests.steps, lambda found, lesson: steps.exercises(found, lesson.view, lesson.block)),
    _Stop(4, requests.masks, lambda found, lesson: masks.masks_exercises(found)),
    _Stop(5, requests.formulas, lambda found, lesson: formulas.formulas_exercises(found[0])),
    _Stop(6, requests.convergence, lambda found, lesson: convergence.convergence_exercises(found)),
    _Stop(7, requests.rows, lambda found, lesson: outlier_rows.rows_exercises(found)),
)
_SHAPES = 9  # whose numbers are those of finished runs


def draw(lesson: Lesson) -> None:
    """All stops; looks again by itself while answers are missing."""
    st.markdown(_TEXT)
    with st.expander("A lesson plan", key="learn-plan"):
        st.markdown(_PLAN.read_text(encoding="utf-8"))
    waiting = bool(_gather(lesson).waiting)
    st.fragment(_draw, run_every=_POLL if waiting else None)(lesson, waiting)


def _gather(lesson: Lesson) -> answers.Gathered:
    return answers.gather([entry.question(lesson) for entry in _ENTRIES], "learn-teacher", at_once=len(_ENTRIES), wait=answers.WAIT)


def _draw(lesson: Lesson, waited: bool) -> None:
    found = _gather(lesson)
    if waited != bool(found.waiting):
        st.rerun()
    for problem in dict.fromkeys(found.problems):
        layout.note(problem, tone="bad", title="This question could not be answered.")
    answers = {type(question): answer for question, answer in found.answers}
    left, right = st.columns(2, gap="large")
    for place, entry in enumerate(_ENTRIES):
        with left if place < (len(_ENTRIES) + 1) // 2 else right:
            _draw_stop(entry, lesson, answers.get(type(entry.question(lesson))), bool(found.waiting))
    with right:
        _draw_head(_SHAPES, lesson)
        if points := shown_points(points_like(query.SPEC)):
            frame.questions(shape_exercises(points))


def _draw_head(number: int, lesson: Lesson) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"learn-teach-{number}"):
        st.html(f"<strong>{STOPS[number]}</strong>", width="stretch")
        st.button("Open", key=f"learn_open_{number}", type="tertiary", on_click=_go, args=(number,))
        st.link_button("On the projector", address(lesson, number), type="tertiary")


def _draw_stop(entry: _Stop, lesson: Lesson, answer: Any, waiting: bool) -> None:
    _draw_head(entry.number, lesson)
    if answer is None and waiting:
        layout.aside("Its exercises are being computed …")
    elif answer is not None:
        frame.questions(entry.exercises(answer, lesson))


def address(lesson: Lesson, stop: int) -> str:
    """Address of a stop's figure alone in large type, with this matrix."""
    words = query.to_words(lesson.model_copy(update={"stop": stop, "present": True}))
    return f"learn?{urlencode(words)}"


def _go(stop: int) -> None:
    query.change(stop=stop)
