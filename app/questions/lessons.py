"""Questions of the Learn page: a whole lesson's numbers in one answer, so that stepping through it asks nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from app.questions import Question
from core.lessons.matrix import MOST_COLUMNS, Matrix, OneWeight, Stepped, TwoWeights

if TYPE_CHECKING:
    from core.desk import Desk
    from core.problem import LayerProblem


class MatrixQuestion(Question):
    """Something about a small matrix."""

    matrix: Matrix = Matrix()

    def problem(self, desk: Desk) -> LayerProblem:
        """The matrix itself."""
        from core.lessons.making import small_problem

        return small_problem(self.matrix, desk.problem)


class OneWeightQuestion(MatrixQuestion):
    """What each weight costs alone."""

    def answer(self, desk: Desk) -> OneWeight:
        from core.lessons.removals import one_weight

        return one_weight(self.problem(desk))


class TwoWeightsQuestion(MatrixQuestion):
    """What each pair of a row's weights costs."""

    def answer(self, desk: Desk) -> TwoWeights:
        from core.lessons.removals import two_weights

        return two_weights(self.problem(desk))


class SteppedQuestion(MatrixQuestion):
    """Three methods step by step, and one mask with every block size."""

    sparsity: float = Field(default=0.5, gt=0, lt=1)
    block_size: int = Field(default=4, ge=1, le=MOST_COLUMNS)

    def answer(self, desk: Desk) -> Stepped:
        from core.lessons.stepping import stepped

        return stepped(self.problem(desk), sparsity=self.sparsity, block_size=self.block_size)
