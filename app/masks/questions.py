"""Questions on masks: the whole mask as densities, a window of it, and two masks against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from app.workers.questions import OneLayerQuestion
from core.records import LayerRecord
from core.spec import RunSpec

if TYPE_CHECKING:
    from core.records.overlaps import Overlap
    from core.whatif.session import Session

CELLS = 256  # of an overview, either way: a screen has few more points for them
POINTS = 64  # of its points that can be pressed, either way
WINDOW = 64  # weights of the loupe, either way
KEPT, REMOVED, OUTLIER, ONLY_A, ONLY_B = range(5)  # what a weight of the loupe is
Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Mask:
    """A whole mask. `density`: percent removed in each cell, uint8 [≤ CELLS, ≤ CELLS]; `points` the same, coarser [≤ POINTS, ≤ POINTS].

    `rows` [c] and `columns` [b]: the share removed of each, float32.
    """

    record: LayerRecord
    density: Array
    points: Array
    rows: Array
    columns: Array
    dense_rows: Array
    sampled: int | None = None  # rows that were pruned alone and stand for their neighbors; None: all


class MaskQuestion(OneLayerQuestion):
    """The mask of `spec` in one layer."""


    def answer(self, session: Session) -> Mask:
        from core.layer.summaries import reduce_blocks

        solution = session.solve(self.layer, self.spec)
        gone = solution.pruned
        density, points = ((100 * reduce_blocks(gone, most)).round().byte().cpu().numpy() for most in (CELLS, POINTS))
        record = session.record(self.layer, solution)
        return Mask(record=record, density=density, points=points, rows=_share(gone, 1), columns=_share(gone, 0),
                    dense_rows=solution.dense_rows.cpu().numpy())


class FirstMaskQuestion(OneLayerQuestion):
    """The mask of `spec` in a large layer, whole where the method moves no weight, else from some rows."""

    def answer(self, session: Session) -> Mask:
        from core.layer.summaries import reduce_blocks

        look = session.first_look(self.layer, self.spec)
        record = look.record(session, self.layer, optimum=False)
        gone = look.mask(record.shape[0])
        density, points = ((100 * reduce_blocks(gone, most)).round().byte().cpu().numpy() for most in (CELLS, POINTS))
        return Mask(record=record, density=density, points=points, rows=_share(gone, 1), columns=_share(gone, 0),
                    dense_rows=look.dense_rows.cpu().numpy(), sampled=None if look.rows is None else len(look.rows))


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Two masks, A and B. `only_a`, `only_b`: percent of each cell that only one removes, uint8; `points_…` the same, coarser.

    `rows_…` and `columns_…`: shares of each row [c] and column [b] that only one removes, float32.
    """

    a: LayerRecord
    b: LayerRecord
    overlap: Overlap
    only_a: Array
    only_b: Array
    points_a: Array
    points_b: Array
    rows_a: Array
    rows_b: Array
    columns_a: Array
    columns_b: Array
    dense_rows: Array  # of A


class PairQuestion(OneLayerQuestion):
    """The mask of `spec`, A, against that of `other`, B: another method or pattern on the same layer and texts."""

    other: RunSpec

    def answer(self, session: Session) -> Pair:
        from core.layer.summaries import reduce_blocks
        from core.records.overlaps import count_masks
        from core.whatif.first_look import record_at_once, solution_without_error

        a, b = (solution_without_error(session, self.layer, spec) for spec in (self.spec, self.other))
        first, second = a.pruned & ~b.pruned, b.pruned & ~a.pruned
        cells = [(100 * reduce_blocks(mask, most)).ceil().byte().cpu().numpy() for most in (CELLS, POINTS) for mask in (first, second)]
        return Pair(a=record_at_once(session, self.layer, self.spec), b=record_at_once(session, self.layer, self.other),
                    overlap=count_masks(a.pruned, b.pruned),
                    only_a=cells[0], only_b=cells[1], points_a=cells[2], points_b=cells[3], dense_rows=a.dense_rows.cpu().numpy(),
                    rows_a=_share(first, 1), rows_b=_share(second, 1), columns_a=_share(first, 0), columns_b=_share(second, 0))


@dataclass(frozen=True, kw_only=True, eq=False)
class Window:
    """Weights at full resolution, from `row` and `column` on: what each is (KEPT, …), uint8; the weights before and after, float32.

    A window never reaches beyond its layer: it may begin earlier than was asked.
    """

    row: int
    column: int
    kinds: Array
    before: Array
    after: Array


class WindowQuestion(OneLayerQuestion):
    """A window of the mask of `spec`, or, with `other`, of both masks."""

    row: int
    column: int
    other: RunSpec | None = None

    def answer(self, session: Session) -> Window:
        from core.whatif.first_look import solution_without_error

        solution = solution_without_error(session, self.layer, self.spec)
        rows, columns = solution.pruned.shape
        row, column = (max(0, min(start, size - WINDOW)) for start, size in ((self.row, rows), (self.column, columns)))
        part = (slice(row, row + WINDOW), slice(column, column + WINDOW))
        gone = solution.pruned[part]
        kinds = gone.byte() * REMOVED
        dense = solution.dense_rows - row
        kinds[dense[(dense >= 0) & (dense < len(gone))]] = OUTLIER
        if self.other is not None:
            also = solution_without_error(session, self.layer, self.other).pruned[part]
            kinds[gone & ~also] = ONLY_A
            kinds[also & ~gone] = ONLY_B
        before, after = session.problem(self.layer).weight[part], solution.weight[part]
        return Window(row=row, column=column, kinds=kinds.cpu().numpy(), before=before.float().cpu().numpy(),
                      after=after.float().cpu().numpy())


class MaskFileQuestion(OneLayerQuestion):
    """The whole mask as a PNG, one pixel a weight."""


    def answer(self, session: Session) -> bytes:
        from core.layer.summaries import mask_png
        from core.whatif.first_look import solution_without_error

        return mask_png(solution_without_error(session, self.layer, self.spec).pruned)


def _share(mask: Any, axis: int) -> Array:
    return mask.float().mean(axis).cpu().numpy()

