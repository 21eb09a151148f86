"""Estimated cost of a preview of the whole model, before it is computed."""

from __future__ import annotations

from core.models.cost import matrix_rate, solve_seconds
from core.records.previews import BASE, PreviewCost
from core.spec import RunSpec
from core.whatif.model_windows import PREVIEW_TOKENS
from core.whatif.session import AT_ONCE, Session


def preview_cost(session: Session, spec: RunSpec) -> PreviewCost:
    """Seconds of `session.preview(spec, at_once=True)` and bytes of the pruned weights that it holds.

    Every layer by the method, or by `BASE` where it comes from few rows; then the first windows of the text, of the dense model too.
    """
    rate = matrix_rate(session.opened.device)
    shapes = [(linear.rows, linear.columns) for linear in session.linears.values()]

    def solving(one: RunSpec) -> float:
        return sum(solve_seconds(one, rows, columns, rate) for rows, columns in shapes)

    own, base = solving(spec), spec.model_copy(update={"method": BASE, "update": "own", "refit": False})
    weights = sum(rows * columns for rows, columns in shapes)
    errors = sum(rows * columns**2 for rows, columns in shapes)
    return PreviewCost(seconds=(solving(base) if own > AT_ONCE else own) + (errors + 2 * PREVIEW_TOKENS * weights) / rate,
                       held_bytes=4 * weights)
