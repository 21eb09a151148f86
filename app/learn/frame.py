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
from app.learn.findings import Exercise
from app.learn.query import PRE, STOPS, TEACHER, Lesson
from app.shared import answers, layout, state
from app.shared.answers import Shown
from app.shared.fields import draw, fields_of
from app.shared.first_paint import first_paint
from app.shared.questions.preview import LayersQuestion
from app.shared.style import chart_config
from app.workers.questions import Question
from core.records.lessons import Matrix
from core.spec import RunSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEC = RunSpec()  # lessons are about the demo model: it is at hand everywhere
_WINDOW = fields_of(Matrix, {PRE + name: name for name in ("first_row", "first_column")})
_DRAWN = fields_of(Matrix, {PRE + name: name for name in ("correlation", "seed")})
_SIZE = fields_of(Matrix, {PRE + name: name for name in ("rows", "columns", "damping")})
SMALL_STOPS = (1, 2, 3, 4, 5, 7, 8)  # those about a small matrix
_SOURCES = {"layer": "a layer of the demo model", "drawn": "drawn at random"}


def begin(question: str, lesson: Lesson) -> None:
    """Title, stops, and what the matrix is. On a projector there is nothing but the stops, in large type."""
    layout.begin(question)
    state.remember("learn_blank", first_paint())  # once a run: all its charts wait together
    if lesson.present:
        st.html("<style>[data-testid='stHeader'], .ps-question { display: none; } .ps-finding { font-size: 1.45rem; max-width: none; } "
                "[data-testid='stMainBlockContainer'] { padding-top: 1rem; }</style>")
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="learn-stops"):
        st.segmented_control("Stop", list(STOPS), key=f"{PRE}stop", format_func=STOPS.__getitem__, required=True, persist_state="session",
                             label_visibility="collapsed", on_change=_left, width="content")
        if 0 < lesson.stop < TEACHER:
            st.button("Leave the projector" if lesson.present else "Projector", key="learn_projector", type="tertiary", on_click=_present,
                      args=(not lesson.present,), help="The figure alone, in large type; the text folds away.")


def draw_matrix(lesson: Lesson) -> None:
    """Draw the description of the matrix and the controls that change it."""
    if lesson.stop in SMALL_STOPS and not (lesson.stop == 7 and lesson.scale == "model"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="learn-matrix"):
            st.html(f"<span class='ps-quiet'>{escape(describe(lesson))}</span>", width="content")
            with st.popover("Change the matrix", type="tertiary"):
                _matrix_controls(lesson)


def _matrix_controls(lesson: Lesson) -> None:
    st.segmented_control("From", list(_SOURCES), key=f"{PRE}source", format_func=_SOURCES.__getitem__, required=True,
                         persist_state="session")
    if lesson.source == "layer":
        layer_box(lesson)
    for fields in (_WINDOW if lesson.source == "layer" else _DRAWN, _SIZE):
        for column, field in zip(st.columns(len(fields)), fields, strict=True):
            with column:
                draw(field)


def layer_box(lesson: Lesson, width: Any = "stretch") -> None:
    """Draw the choice of the demo model's layer."""
    st.selectbox("Layer", _layers(lesson.layer), key=f"{PRE}layer", persist_state="session", width=width)


def row_slider(lesson: Lesson, width: Any = "stretch") -> None:
    """Draw the choice of the matrix's row."""
    st.slider("Row", 0, max(lesson.rows - 1, 1), key=f"{PRE}row", disabled=lesson.rows == 1, persist_state="session", width=width)


def input_slider(lesson: Lesson, word: str, label: str) -> None:
    """Draw the choice of the input, for those who do not press on charts."""
    st.slider(label, 0, max(lesson.columns - 1, 1), key=f"{PRE}{word}", disabled=lesson.columns == 1, persist_state="session")


def describe(lesson: Lesson) -> str:
    """The matrix in words; all of it was checked."""
    size = f"{lesson.rows} × {lesson.columns}"
    if lesson.source == "drawn":
        return (f"Matrix: {size}, drawn with seed {lesson.seed}, neighbouring inputs correlated at {lesson.correlation:g}, "
                f"λ = {lesson.damping:g}")
    last = (lesson.first_row + lesson.rows - 1, lesson.first_column + lesson.columns - 1)
    return (f"Matrix: {size}, rows {lesson.first_row} to {last[0]} and inputs {lesson.first_column} to {last[1]} of the demo model's "
            f"{lesson.layer}, λ = {lesson.damping:g}")


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
    if lesson.present:
        enlarged(figure).update_layout(height=round(1.05 * figure.layout.height))
    if state.recall("learn_blank", False):
        st.container(height=figure.layout.height, border=False)
        return
    key = f"learn-{name}"
    more: dict[str, Any] = {} if pressed is None else {"on_select": partial(_pressed, key, pressed), "selection_mode": "points"}
    st.plotly_chart(figure, theme=None, key=key, config=chart_config(f"learn-{name}"), alt=alt, **more)


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
    picked = (state.widget(key) or {}).get("selection", {}).get("points", ())
    data = next((point.get("customdata") for point in picked if point.get("customdata") is not None), None)
    if data is not None:
        tell(data if isinstance(data, list | tuple) else [data])


def _layers(now: str) -> list[str]:
    """All layers of the demo model, once they are known."""
    known = answers.ask(LayersQuestion(spec=SPEC), "learn-layers", wait=0.0).answer
    return list(dict.fromkeys([*(layer.name for layer in known or ()), now]))


def _present(on: bool) -> None:
    query.change(present=on)


def _left() -> None:
    """Nothing plays on when its stop is left."""
    state.remember("playing", False)
