"""Controls of the Learn page: the small matrix that its stops share, its rows and inputs, and the layer."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.learn import query
from app.learn.query import PRE, Lesson
from app.shared import answers, numbers
from app.shared.fields import draw, fields_of
from app.shared.questions.preview import LayersQuestion
from core.records.lessons import Matrix

_WINDOW = fields_of(Matrix, {PRE + name: name for name in ("first_row", "first_column")})
_DRAWN = fields_of(Matrix, {PRE + name: name for name in ("correlation", "seed")})
_SIZE = fields_of(Matrix, {PRE + name: name for name in ("rows", "columns", "damping")})
SMALL_STOPS = (1, 2, 3, 4, 5, 7, 8)  # those about a small matrix
_SOURCES = {"layer": "a layer of the demo model", "drawn": "drawn at random"}


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
        return (f"Matrix: {size}, drawn with seed {lesson.seed}, neighboring inputs correlated at "
                f"{numbers.setting(lesson.correlation)}, λ = {numbers.setting(lesson.damping)}")
    last = (lesson.first_row + lesson.rows - 1, lesson.first_column + lesson.columns - 1)
    return (f"Matrix: {size}, rows {lesson.first_row} to {last[0]} and inputs {lesson.first_column} to {last[1]} of the demo model's "
            f"{lesson.layer}, λ = {numbers.setting(lesson.damping)}")


def _layers(now: str) -> list[str]:
    """All layers of the demo model, once they are known."""
    known = answers.ask(LayersQuestion(spec=query.SPEC), "learn-layers", wait=0.0).answer
    return list(dict.fromkeys([*(layer.name for layer in known or ()), now]))
