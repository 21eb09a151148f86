"""The frame of the Learn page: stops, the small matrix that they share, text on the left, the live figure on the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
import streamlit as st

from app.learn import query
from app.learn.charts.matrix import enlarged
from app.learn.findings.common import Exercise
from app.learn.query import PRE, STOPS, TOUR, Lesson
from app.shared import answers, layout, state
from app.shared.answers import Shown
from app.shared.first_paint import first_paint
from app.shared.plot import plot
from app.shared.pressed_marks import pressed_mark
from app.shared.style import chart_config
from app.workers.questions import Question

if TYPE_CHECKING:
    from collections.abc import Iterator


def begin(question: str, lesson: Lesson) -> None:
    """Title, stops, and what the matrix is. On a projector there is nothing but the stops, in large type."""
    layout.begin(question)
    state.remember("learn_blank", first_paint())  # once a run: all its charts wait together
    if lesson.present:
        st.html("<style>[data-testid='stHeader'], .ps-question { display: none; } .ps-finding { font-size: 1.45rem; max-width: none; } "
                "[data-testid='stMainBlockContainer'] { padding-top: 1rem; } "
                "[data-testid='stMain'] :is(button, label, input, summary, [data-testid='stSliderThumbValue']) p, "
                "[data-testid='stMain'] :is([data-testid='stSliderThumbValue'], .ps-quiet, .ps-takeaway, .ps-png, .ps-verdict) "
                "{ font-size: 1.2rem; }</style>")
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="learn-stops"):
        st.segmented_control("Stop", list(STOPS), key=f"{PRE}stop", format_func=STOPS.__getitem__, required=True, persist_state="session",
                             label_visibility="collapsed", on_change=_left, width="content")
        if lesson.stop in TOUR:
            st.button("Leave" if lesson.present else "Projector", key="learn_projector", type="tertiary", on_click=_present,
                      args=(not lesson.present,), help="The figure alone, in large type; the text folds away.")
        if lesson.stop in TOUR[:-1]:
            after = TOUR[TOUR.index(lesson.stop) + 1]
            st.button("Next stop", key="learn_next", icon=":material/arrow_forward:", icon_position="right", on_click=_next,
                      args=(after,), help=STOPS[after])


def ask(question: Question, place: str) -> Any:
    """The answer, or None after saying why there is none yet."""
    shown: Shown = answers.ask(question, f"learn-{place}")
    if not shown.fits:
        answers.tell(shown, "Computing this lesson")
    return shown.answer if shown.fits else None


@contextmanager
def beside(lesson: Lesson, text: Callable[[], None]) -> Iterator[None]:
    """The text on the left, what is drawn inside on the right; on a projector the text folds away below."""
    if lesson.present:
        with st.container(key="learn-figure"):
            yield
        with st.expander("The text of this stop", key="learn-text"):
            text()
        return
    left, right = st.columns([0.34, 0.66], gap="large")
    with left:
        text()
    with right:
        yield


def chart(figure: go.Figure, name: str, lesson: Lesson, alt: str, *, pressed: Callable[[Sequence[Any]], None] | None = None) -> None:
    """A lesson's figure; `pressed` gets what the pressed mark carries."""
    height: Any = figure["layout"]["height"]
    if lesson.present:
        height = round(1.05 * height)
        enlarged(figure).update_layout(height=height)
    if state.recall("learn_blank", False):
        st.container(height=height, border=False)
        return
    key = f"learn-{name}"
    more: dict[str, Any] = {} if pressed is None else {"on_select": partial(_pressed, key, pressed), "selection_mode": "points"}
    plot(figure, key=key, config=chart_config(f"learn-{name}"), alt=alt, **more)


def exercises(items: Sequence[Exercise], of: str = "this matrix") -> None:
    """Questions whose answers are folded in."""
    st.html(f"<div class='ps-exercises'><strong>Exercises</strong> <span class='ps-quiet'>press one for its answer, computed from "
            f"{escape(of)}</span>{_folded(items)}</div>")


def questions(items: Sequence[Exercise]) -> None:
    """The same without a heading, where many follow each other."""
    st.html(f"<div class='ps-exercises'>{_folded(items)}</div>")


def _folded(items: Sequence[Exercise]) -> str:
    return "".join(f"<details><summary>{escape(question)}</summary><p>{escape(answer)}</p></details>" for question, answer in items)


def _pressed(key: str, tell: Callable[[Sequence[Any]], None]) -> None:
    data = pressed_mark(key)
    if data is not None:
        tell(data if isinstance(data, list | tuple) else [data])


def _present(on: bool) -> None:
    query.change(present=on)


def _next(stop: int) -> None:
    _left()
    query.change(stop=stop)


def _left() -> None:
    """Nothing plays on when its stop is left."""
    state.remember("playing", False)
