"""Questions of each stop of the Learn page to the core."""

from __future__ import annotations

from app.learn import query
from app.learn.query import Lesson
from app.learn.questions import (
    ConvergenceQuestion,
    FormulasQuestion,
    MasksQuestion,
    OneWeightQuestion,
    SteppedQuestion,
    StrongRowQuestion,
    TwoWeightsQuestion,
)


def one(lesson: Lesson) -> OneWeightQuestion:
    return OneWeightQuestion(spec=query.SPEC, matrix=lesson.matrix)


def two(lesson: Lesson) -> TwoWeightsQuestion:
    return TwoWeightsQuestion(spec=query.SPEC, matrix=lesson.matrix)


def steps(lesson: Lesson) -> SteppedQuestion:
    """The curve over B is for one mask, the same whatever B is: moving along it asks nothing new."""
    size = lesson.columns if lesson.view == "blocks" else lesson.block
    return SteppedQuestion(spec=query.SPEC, matrix=lesson.matrix, sparsity=lesson.sparsity, block_size=size)


def masks(lesson: Lesson) -> MasksQuestion:
    return MasksQuestion(spec=query.SPEC, matrix=lesson.matrix, row=lesson.row, sparsity=lesson.sparsity, block_size=lesson.block)


def formulas(lesson: Lesson) -> FormulasQuestion:
    return FormulasQuestion(spec=query.SPEC, matrix=lesson.matrix, sparsity=lesson.share)


def convergence(lesson: Lesson) -> ConvergenceQuestion:
    return ConvergenceQuestion(spec=query.SPEC, layer=lesson.layer, sparsity=lesson.sparsity)


def rows(lesson: Lesson) -> StrongRowQuestion:
    second = None if lesson.second == query.NO_ROW else lesson.second
    return StrongRowQuestion(spec=query.SPEC, matrix=lesson.matrix, row=lesson.row, second=second, factor=lesson.factor,
                             sparsity=lesson.share)
