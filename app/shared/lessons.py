"""Words of a lesson: the request of the Learn page, read from its link and written to it. No Streamlit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from core.records.lessons import MOST_COLUMNS, MOST_ROWS, STRENGTHS, Matrix
from core.spec.codec import ModelCodec

STOPS = {0: "Start", 1: "1 One weight", 2: "2 Two weights", 3: "3 Step by step", 4: "4 Mask or update?", 5: "5 Which formula?",
         6: "6 Convergence", 7: "7 Outlier rows", 9: "8 Zeros or shapes?", 8: "Teachers"}  # 8 in a link was the teachers' page first
TEACHER = 8
TOUR = tuple(stop for stop in STOPS if stop not in (0, TEACHER))  # one after the other
NO_ROW = -1  # in place of a second strong row


class Lesson(Matrix):
    """A stop, its small matrix, and what is looked at there."""

    stop: int = Field(default=0, ge=0, le=max(STOPS))
    present: bool = False
    row: int = Field(default=2, ge=0, lt=MOST_ROWS, title="Row")
    second: int = Field(default=NO_ROW, ge=NO_ROW, lt=MOST_ROWS, title="Second strong row")
    column: int = Field(default=3, ge=0, lt=MOST_COLUMNS, title="Weight")
    other: int = Field(default=2, ge=0, lt=MOST_COLUMNS, title="and")
    guess: Literal["", "less", "same", "more", "none"] = ""
    view: Literal["steps", "blocks"] = "steps"
    sparsity: float = Field(default=0.5, ge=0.05, le=0.95, title="Sparsity p")
    block: int = Field(default=4, ge=1, le=MOST_COLUMNS, title="Block size B")
    focus: Literal["sparsegpt", "thanos", "obc"] = "thanos"
    step: int = Field(default=1, ge=0, le=1000)
    mask: Literal["magnitude", "wanda", "sparsegpt", "thanos", "obc", "frontier", "best"] = "wanda"
    lower: Literal["masks", "updates"] = "masks"
    share: float = Field(default=0.3, ge=0.05, le=0.9)
    over: Literal["iterations", "seconds"] = "iterations"
    factor: float = Field(default=4.0, ge=STRENGTHS[0], le=STRENGTHS[-1])
    scale: Literal["matrix", "model"] = "matrix"
    alpha: float = Field(default=0.1, ge=0, le=0.5)
    across: Literal["parameters", "prefill", "decode"] = "parameters"

    @property
    def matrix(self) -> Matrix:
        """The matrix alone: what the answers depend on."""
        fields = {name: getattr(self, name) for name in Matrix.model_fields}
        if self.source == "drawn":
            fields |= {name: Matrix.model_fields[name].default for name in ("layer", "first_row", "first_column")}
        else:
            fields |= {name: Matrix.model_fields[name].default for name in ("correlation", "seed")}
        return Matrix.model_validate(fields)


CODEC = ModelCodec(model=Lesson, fields={word: word for word in Lesson.model_fields})
WORDS = CODEC.words
_WINDOW = ("layer", "first_row", "first_column")


def parse(words: Mapping[str, Any]) -> tuple[Lesson, tuple[str, ...]]:
    """The lesson that words ask for, and one sentence for each that could not be used. Never raises."""
    lesson, refused = CODEC.read(words)
    return _within(lesson), tuple(map(str, refused))


def to_words(lesson: Lesson) -> dict[str, str]:
    """The link of a lesson. Defaults are left out, but for the window of a layer: a release may begin with another one."""
    window = _WINDOW if lesson.stop and lesson.source == "layer" else ()
    return CODEC.write(lesson) | {word: str(getattr(lesson, word)) for word in window}


def _within(lesson: Lesson) -> Lesson:
    """Rows, weight and block inside the matrix."""
    last = lesson.columns - 1
    column = min(lesson.column, last)
    other = min(lesson.other, last)
    if other == column:
        other = column - 1 if column == last else column + 1
    row = min(lesson.row, lesson.rows - 1)
    return lesson.model_copy(update={
        "present": lesson.present and lesson.stop in TOUR, "row": row, "column": column, "other": other,
        "second": lesson.second if lesson.second < lesson.rows and lesson.second != row else NO_ROW,
        "block": min(lesson.block, lesson.columns), "alpha": max(0.0, min(lesson.alpha, round(1 - lesson.share - 0.05, 2)))})
