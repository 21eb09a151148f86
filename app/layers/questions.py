"""One layer: what a method leaves there, beside the others, row by row and column by column, before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from app.workers.questions import OneLayerQuestion, SessionQuestion
from core.records import LayerRecord
from core.records.previews import is_large
from core.spec import RunSpec, make_method

if TYPE_CHECKING:
    from core.whatif.session import Session

CELLS = 256  # of a heatmap, either way
AT_ONCE = 2.0  # seconds by estimate: what takes longer waits to be asked for
Array = NDArray[Any]


def with_method(spec: RunSpec, name: str) -> RunSpec:
    """The same pattern on the same layers by another method at its defaults. Raises ValidationError where the pattern has no meaning
    for it."""
    return RunSpec.model_validate({**dict(spec), "method": make_method(name), "update": "own", "refit": False})


class LayerQuestion(OneLayerQuestion):
    """Result of `spec` in one layer."""

    exact: bool = False  # the optimum of a large layer too, from all of its rows

    @property
    def quick(self) -> bool:
        return super().quick and not self.exact

    def answer(self, session: Session) -> LayerRecord:
        from core.linalg.cancellation import cancel_unless

        solution = session.solve(self.layer, self.spec)
        with cancel_unless(session.wanted):
            return session.record(self.layer, solution, exact=self.exact)


@dataclass(frozen=True, kw_only=True)
class Methods:
    """Records by method; the estimated seconds of those that were not tried; why others have none."""

    records: dict[str, LayerRecord]
    slow: dict[str, float]
    failed: dict[str, str]


class MethodsQuestion(SessionQuestion):
    """Results of some methods in one layer at the pattern of `spec`, each with its defaults; the method of `spec` is not read. Of a large
    layer these are first looks, with their optima."""

    layer: str
    methods: tuple[str, ...]
    seconds: float = AT_ONCE

    def answer(self, session: Session) -> Methods:
        from pydantic import ValidationError

        from core.models.cost import layer_seconds, matrix_rate
        from core.spec.errors import PruneError, input_errors
        from core.whatif.first_look import first_seconds

        records: dict[str, LayerRecord] = {}
        slow: dict[str, float] = {}
        failed: dict[str, str] = {}
        problem = session.problem(self.layer)
        rows, columns = problem.weight.shape
        rate, large = matrix_rate(session.opened.device), is_large(rows, columns)
        for name in self.methods:
            try:
                spec = with_method(self.spec, name)
                estimate = (first_seconds if large else layer_seconds)(spec, rows, columns, rate)
                if estimate > self.seconds:
                    slow[name] = estimate
                elif large:
                    records[name] = session.first_look(self.layer, spec).record(session, self.layer, optimum=True)
                else:
                    records[name] = session.record(self.layer, session.solve(self.layer, spec))
            except ValidationError as error:
                failed[name] = input_errors(error)[0].remedy
            except PruneError as error:
                failed[name] = str(error)
        return Methods(records=records, slow=slow, failed=failed)


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """Shares of a layer's error, by output row [c] and by input column [b], float32, each summing to 1 (0 for a layer without error);
    the dense rows' indices; how many inputs a last short group left dense."""

    rows: Array
    columns: Array
    dense_rows: Array
    dense_columns: int
    relative_error: float
    removed: Array  # [b]: the share of each column that is pruned


class PartsQuestion(OneLayerQuestion):
    """Distribution of a layer's error over rows and columns."""

    def answer(self, session: Session) -> Parts:
        from core.layer.summaries import error_parts
        from core.whatif.first_look import solution_without_error

        problem, solution = session.problem(self.layer), solution_without_error(session, self.layer, self.spec)
        rows, columns = error_parts(problem, solution.weight)
        whole = float(rows.sum())
        scale = 1 / whole if whole > 0 else 0.0
        return Parts(rows=(rows * scale).float().cpu().numpy(), columns=(columns * scale).float().cpu().numpy(),
                     dense_rows=solution.dense_rows.cpu().numpy(), dense_columns=solution.dense_columns,
                     relative_error=solution.relative_error, removed=solution.pruned.float().mean(0).cpu().numpy())


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """Cells of at most CELLS², float32: mean |w| before and after, and the change of largest magnitude. `cell`: weights behind one."""

    before: Array
    after: Array
    change: Array
    cell: tuple[int, int]
    shape: tuple[int, int]


class WeightsQuestion(OneLayerQuestion):
    """A layer's weights before and after."""

    def answer(self, session: Session) -> Weights:
        from core.layer.summaries import cell_shape, reduce_blocks
        from core.whatif.first_look import solution_without_error

        before = session.problem(self.layer).weight.float()
        after = solution_without_error(session, self.layer, self.spec).weight.float()
        shape = (int(before.shape[0]), int(before.shape[1]))
        first, second = (reduce_blocks(matrix.abs(), CELLS).cpu().numpy() for matrix in (before, after))
        change = reduce_blocks(after - before, CELLS, "extreme").cpu().numpy()
        return Weights(before=first, after=second, change=change, cell=cell_shape(shape, CELLS), shape=shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class Bins:
    """Counts of weights in bins of `edges` [k+1]."""

    edges: Array
    kept_before: Array
    kept_after: Array
    removed_before: Array


class HistogramQuestion(OneLayerQuestion):
    """Histogram of the weights that stay, before and after, and of those that go."""

    def answer(self, session: Session) -> Bins:
        from core.layer.summaries import weight_histogram
        from core.whatif.first_look import solution_without_error

        found = weight_histogram(session.problem(self.layer).weight, solution_without_error(session, self.layer, self.spec))
        return Bins(edges=found.edges.numpy(), kept_before=found.kept_before.numpy(), kept_after=found.kept_after.numpy(),
                    removed_before=found.removed_before.numpy())

