"""Stop 2: interaction of two weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from app.learn import controls, frame, query, requests
from app.learn.charts.two_weights import interaction, pairs
from app.learn.findings import two_weights as findings
from app.learn.query import Lesson
from app.shared import layout, numbers
from app.shared.chart_downloads import take_away
from core.records.lessons import TwoWeights

_PAIRS = r"""
Remove $q$ and $r$ together, with $S = \{q, r\}$ and $u = (w_q, w_r)$:

$$\text{loss} = u\,\big([H^{-1}]_{SS}\big)^{-1}u^\top$$

Is that the sum of the two single losses? If $[H^{-1}]_{qr} = 0$ it is, and else only by chance: one weight was counting on the other to
make up for it, or what the two lose partly cancels in the output. This is why pruning is a search over sets: the cheapest weights, one by
one, need not be the cheapest set.
"""
_GUESSES = {"less": "less than the sum", "same": "the same, within 1 %", "more": "more than the sum"}


def draw(lesson: Lesson) -> None:
    """Draw stop 2."""
    found: TwoWeights | None = frame.ask(requests.two(lesson), "two")
    if found is None:
        return
    with frame.beside(lesson, partial(_two_text, found, lesson)):
        _guess(found, lesson)
        if lesson.guess:
            layout.sentence(findings.pair_finding(found, lesson.row, lesson.column, lesson.other))
        frame.chart(pairs(found, lesson.row, lesson.column, lesson.other, revealed=bool(lesson.guess), theme=layout.theme()), "two", lesson,
                    "The correlation of the inputs, and the loss of each pair beside the sum of the two.", pressed=_pick_pair)
        with st.container(horizontal=True, gap="large"):
            controls.row_slider(lesson)
            controls.input_slider(lesson, "column", "Input q")
            controls.input_slider(lesson, "other", "Input r")
        if lesson.guess:
            take_away("learn-two", partial(_two_rows, found, lesson.row), (controls.describe(lesson), f"row {lesson.row}"))


def _guess(found: TwoWeights, lesson: Lesson) -> None:
    """Guess first, then see."""
    first, second = lesson.column, lesson.other
    if not lesson.guess:
        alone = found.pair[lesson.row].diagonal()
        costs = numbers.errors(float(alone[first]), float(alone[second]))
        layout.sentence(f"Guess first. In row {lesson.row}, input {first} costs {costs[0]} alone and input {second} {costs[1]}. Removed "
                        "together, will they cost …")
        with st.container(horizontal=True, gap="small"):
            for name, words in _GUESSES.items():
                st.button(words, key=f"learn_guess_{name}", on_click=_told, args=(name,))
            st.button("just show me", key="learn_guess_none", type="tertiary", on_click=_told, args=("none",))
        return
    right = findings.pair_verdict(found, lesson.row, first, second)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if lesson.guess in _GUESSES:
            verdict = f"{'Right' if right == lesson.guess else 'No'}: {_GUESSES[right]}."
            st.html(f"<strong class='ps-verdict'>{verdict}</strong>", width="content")
        st.button("Hide, and guess again", key="learn_guess_again", type="tertiary", on_click=_told, args=("",))


def _told(guess: str) -> None:
    query.change(guess=guess)


def _two_text(found: TwoWeights, lesson: Lesson) -> None:
    st.markdown(_PAIRS)
    if lesson.guess:
        st.markdown(f"Inputs {lesson.column} and {lesson.other} of row {lesson.row}: "
                    + findings.pair_reason(found, lesson.row, lesson.column, lesson.other))
        frame.exercises(findings.pair_exercises(found, lesson.row))


def _pick_pair(place: Sequence[Any]) -> None:
    if place[0] != place[1]:
        query.change(column=place[0], other=place[1])


def _two_rows(found: TwoWeights, row: int) -> list[dict[str, object]]:
    ratio, columns = interaction(found)[row], found.hessian.shape[0]
    return [{"row": row, "first": i, "second": j, "loss": float(found.pair[row, i, j]), "loss_over_sum": float(ratio[i, j])}
            for i in range(columns) for j in range(i + 1, columns)]
