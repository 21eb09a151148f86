"""Stops 1 and 2: one weight, two weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from app.learn import findings as say
from app.learn import frame, query, requests
from app.learn.charts.removals import interaction, one_weight_matrix, pairs, rank_agreement
from app.learn.query import Lesson
from app.shared import layout, numbers
from app.shared.chart_downloads import take_away
from core.records.lessons import OneWeight, TwoWeights

_OBS = r"""
Take one weight $w_q$ out of a row and let the others of that row move, so that the output changes as little as possible. That is a
least-squares problem with one constraint, and its solution is the **Optimal Brain Surgeon** (OBS):

$$\Delta = -\frac{w_q}{[H^{-1}]_{qq}}\,H^{-1}_{q:}\qquad \text{loss} = \frac{w_q^2}{[H^{-1}]_{qq}}$$

Here $H = G + \lambda\,\overline{\operatorname{diag} G}\,I$ and the loss is $\Delta H\Delta^\top$. With the papers' $H = 2G$ and loss
$\tfrac12\Delta H\Delta^\top$ it reads $\tfrac12\,w_q^2/[H^{-1}]_{qq}$: the same number, the factors of 2 cancel.
"""
_OBD = r"""
**Optimal Brain Damage** looks at the diagonal only: $w_q^2 H_{qq}$ is the loss if nothing else moves. **Magnitude** does not look at the
inputs at all. If $H$ is diagonal OBD is OBS; if its diagonal is constant too, magnitude gives the same order. So what sets them apart is
how far inputs are correlated (the entries of $H$ beside the diagonal) and how unequal their energies are.
"""
_PAIRS = r"""
Remove $q$ and $r$ together, with $S = \{q, r\}$ and $u = (w_q, w_r)$:

$$\text{loss} = u\,\big([H^{-1}]_{SS}\big)^{-1}u^\top$$

Is that the sum of the two single losses? If $[H^{-1}]_{qr} = 0$ it is, and else only by chance: one weight was counting on the other to
make up for it, or what the two lose partly cancels in the output. This is why pruning is a search over sets: the cheapest weights, one by
one, need not be the cheapest set.
"""
_GUESSES = {"less": "less than the sum", "same": "the same, within 1 %", "more": "more than the sum"}


def draw_one(lesson: Lesson) -> None:
    """What does one weight cost?"""
    found: OneWeight | None = frame.ask(requests.one(lesson), "one")
    if found is None:
        return
    row, column = lesson.row, lesson.column
    with frame.beside(lesson, partial(_one_text, found, row, column)):
        finding = say.one_weight_finding(found, row, column)
        layout.sentence(finding)
        frame.chart(one_weight_matrix(found, row, column, theme=layout.theme()), "one", lesson, finding, pressed=_pick)
        with st.container(horizontal=True, gap="large"):
            frame.row_slider(lesson)
            frame.input_slider(lesson, "column", "Input")
        frame.chart(rank_agreement(found, row, column, theme=layout.theme()), "ranks", lesson,
                    "The order of all weights by loss against the order by two simpler scores.")
        take_away("learn-one", partial(_one_rows, found), (frame.describe(lesson), "loss: tr(ΔHΔᵀ) a token"))


def _one_text(found: OneWeight, row: int, column: int) -> None:
    st.markdown(_OBS)
    st.markdown(say.one_weight_formula(found, row, column))
    st.markdown(_OBD)
    st.markdown(say.one_weight_reason(found, column))
    frame.exercises(say.one_weight_exercises(found))


def _pick(place: Sequence[Any]) -> None:
    query.change(row=place[0], column=place[1])


def _one_rows(found: OneWeight) -> list[dict[str, object]]:
    return [{"row": i, "input": j, "weight": float(found.weight[i, j]), "loss": float(found.loss[i, j]),
             "loss_if_nothing_moves": float(found.diagonal[i, j])} for i, j in np.ndindex(found.weight.shape)]


def draw_two(lesson: Lesson) -> None:
    """Do the costs of two weights add up?"""
    found: TwoWeights | None = frame.ask(requests.two(lesson), "two")
    if found is None:
        return
    with frame.beside(lesson, partial(_two_text, found, lesson)):
        _guess(found, lesson)
        if lesson.guess:
            layout.sentence(say.pair_finding(found, lesson.row, lesson.column, lesson.other))
        frame.chart(pairs(found, lesson.row, lesson.column, lesson.other, revealed=bool(lesson.guess), theme=layout.theme()), "two", lesson,
                    "The correlation of the inputs, and the loss of each pair beside the sum of the two.", pressed=_pick_pair)
        with st.container(horizontal=True, gap="large"):
            frame.row_slider(lesson)
            frame.input_slider(lesson, "column", "Input q")
            frame.input_slider(lesson, "other", "Input r")
        if lesson.guess:
            take_away("learn-two", partial(_two_rows, found, lesson.row), (frame.describe(lesson), f"row {lesson.row}"))


def _guess(found: TwoWeights, lesson: Lesson) -> None:
    """Guess first, then see."""
    first, second = lesson.column, lesson.other
    if not lesson.guess:
        alone = found.pair[lesson.row].diagonal()
        layout.sentence(f"Guess first. In row {lesson.row}, input {first} costs {numbers.error(float(alone[first]))} alone and input "
                        f"{second} {numbers.error(float(alone[second]))}. Removed together, will they cost …")
        with st.container(horizontal=True, gap="small"):
            for name, words in _GUESSES.items():
                st.button(words, key=f"learn_guess_{name}", on_click=_told, args=(name,))
            st.button("just show me", key="learn_guess_none", type="tertiary", on_click=_told, args=("none",))
        return
    right = say.pair_verdict(found, lesson.row, first, second)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if lesson.guess in _GUESSES:
            st.html(f"<strong>{'Right' if right == lesson.guess else 'No'}: {_GUESSES[right]}.</strong>", width="content")
        st.button("Hide, and guess again", key="learn_guess_again", type="tertiary", on_click=_told, args=("",))


def _told(guess: str) -> None:
    query.change(guess=guess)


def _two_text(found: TwoWeights, lesson: Lesson) -> None:
    st.markdown(_PAIRS)
    if lesson.guess:
        st.markdown(f"Inputs {lesson.column} and {lesson.other} of row {lesson.row}: "
                    + say.pair_reason(found, lesson.row, lesson.column, lesson.other))
        frame.exercises(say.pair_exercises(found, lesson.row))


def _pick_pair(place: Sequence[Any]) -> None:
    if place[0] != place[1]:
        query.change(column=place[0], other=place[1])


def _two_rows(found: TwoWeights, row: int) -> list[dict[str, object]]:
    ratio, columns = interaction(found)[row], found.hessian.shape[0]
    return [{"row": row, "first": i, "second": j, "loss": float(found.pair[row, i, j]), "loss_over_sum": float(ratio[i, j])}
            for i in range(columns) for j in range(i + 1, columns)]
