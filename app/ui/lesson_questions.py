"""What each stop of the Learn page asks the core."""

from __future__ import annotations

from app.questions.lessons import (
    ConvergenceQuestion,
    FormulasQuestion,
    MasksQuestion,
    OneWeightQuestion,
    SteppedQuestion,
    StrongRowQuestion,
    TwoWeightsQuestion,
)
from app.ui import learn
from app.ui.lesson_words import Lesson


def one(lesson: Lesson) -> OneWeightQuestion:
    return OneWeightQuestion(spec=learn.SPEC, matrix=lesson.matrix)


def two(lesson: Lesson) -> TwoWeightsQuestion:
    return TwoWeightsQuestion(spec=learn.SPEC, matrix=lesson.matrix)


def steps(lesson: Lesson) -> SteppedQuestion:
    """The curve over B is for one mask, the same whatever B is: moving along it asks nothing new."""
    size = lesson.columns if lesson.view == "blocks" else lesson.block
    return SteppedQuestion(spec=learn.SPEC, matrix=lesson.matrix, sparsity=lesson.sparsity, block_size=size)


def masks(lesson: Lesson) -> MasksQuestion:
    return MasksQuestion(spec=learn.SPEC, matrix=lesson.matrix, row=lesson.row, sparsity=lesson.sparsity, block_size=lesson.block)


def formulas(lesson: Lesson) -> FormulasQuestion:
    return FormulasQuestion(spec=learn.SPEC, matrix=lesson.matrix, sparsity=lesson.share)


def convergence(lesson: Lesson) -> ConvergenceQuestion:
    return ConvergenceQuestion(spec=learn.SPEC, layer=lesson.layer, sparsity=lesson.sparsity)


def rows(lesson: Lesson) -> StrongRowQuestion:
    return StrongRowQuestion(spec=learn.SPEC, matrix=lesson.matrix, row=lesson.row, factor=lesson.factor, sparsity=lesson.share)
