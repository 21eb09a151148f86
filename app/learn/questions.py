"""Questions of the Learn page: a whole lesson's numbers in one answer, so that stepping through it asks nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from app.workers.questions import SessionQuestion
from core.records import Convergence
from core.records.lessons import MOST_COLUMNS, Formulas, Masks, Matrix, OneWeight, Stepped, StrongRow, TwoWeights

if TYPE_CHECKING:
    from core.layer.problem import LayerProblem
    from core.whatif.session import Session


class MatrixQuestion(SessionQuestion):
    """Something about a small matrix."""

    about_a_layer: ClassVar[bool] = True
    matrix: Matrix = Matrix()

    def problem(self, session: Session) -> LayerProblem:
        """The matrix itself."""
        from core.lessons.problems import small_problem

        return small_problem(self.matrix, session.problem)


class OneWeightQuestion(MatrixQuestion):
    """Cost of each weight alone."""

    def answer(self, session: Session) -> OneWeight:
        from core.lessons.removals import one_weight

        return one_weight(self.problem(session))


class TwoWeightsQuestion(MatrixQuestion):
    """Cost of each pair of a row's weights."""

    def answer(self, session: Session) -> TwoWeights:
        from core.lessons.removals import two_weights

        return two_weights(self.problem(session))


class SteppedQuestion(MatrixQuestion):
    """Three methods step by step, and one mask with every block size."""

    sparsity: float = Field(default=0.5, gt=0, lt=1)
    block_size: int = Field(default=4, ge=1, le=MOST_COLUMNS)

    def answer(self, session: Session) -> Stepped:
        from core.lessons.stepping import stepped

        return stepped(self.problem(session), sparsity=self.sparsity, block_size=self.block_size)


class MasksQuestion(MatrixQuestion):
    """Every mask of a short row."""

    row: int = Field(default=0, ge=0)
    sparsity: float = Field(default=0.5, gt=0, lt=1)
    block_size: int = Field(default=4, ge=1, le=MOST_COLUMNS)

    def answer(self, session: Session) -> Masks:
        from core.lessons.mask_choice import every_mask

        return every_mask(self.problem(session), self.row, sparsity=self.sparsity, block_size=self.block_size)


class FormulasQuestion(MatrixQuestion):
    """Three formulas for removing columns; where the matrix is a window, on the whole layer too."""

    sparsity: float = Field(default=0.3, gt=0, lt=1)

    def answer(self, session: Session) -> tuple[Formulas, Formulas | None]:
        from core.lessons.formulas import formulas
        from core.lessons.problems import whole_problem

        small = formulas(self.problem(session), sparsity=self.sparsity)
        if self.matrix.source == "drawn":
            return small, None
        whole = whole_problem(self.matrix, session.problem)
        return small, formulas(whole, sparsity=self.sparsity).without_weights()


class StrongRowQuestion(MatrixQuestion):
    """One row or two made stronger, and the rows that stay dense."""

    row: int = Field(default=0, ge=0)
    second: int | None = Field(default=None, ge=0)
    factor: float = Field(default=4.0, gt=0, le=100)
    sparsity: float = Field(default=0.3, gt=0, lt=1)

    def answer(self, session: Session) -> StrongRow:
        from core.lessons.strong_row import strong_row

        return strong_row(self.problem(session), self.row, second=self.second, factor=self.factor,
                          sparsity=self.sparsity)


class ConvergenceQuestion(SessionQuestion):
    """Convergence of the descents to the optimum of Wanda's mask on a real layer."""

    about_a_layer: ClassVar[bool] = True
    layer: str
    sparsity: float = Field(default=0.5, gt=0, lt=1)
    iterations: int = Field(default=40, ge=1, le=500)

    def answer(self, session: Session) -> Convergence:
        from core.layer.convergence import convergence
        from core.methods.solve import solve
        from core.spec.patterns import Unstructured

        problem = session.problem(self.layer)
        mask = solve(problem, "wanda", Unstructured(sparsity=self.sparsity)).pruned
        return convergence(problem, mask, iterations=self.iterations)
