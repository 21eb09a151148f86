"""Points as rows, for a table on the page and files to take away."""

from __future__ import annotations

from collections.abc import Sequence

from app.shared.sweeps.points import Point
from app.shared.tables import over_optimum
from core.spec.patterns import pattern_word


def point_rows(points: Sequence[Point]) -> list[dict[str, object]]:
    """One row a run, all that its point knows."""
    return [{
        "model": point.spec.model, "method": point.spec.method.name, "pattern": pattern_word(point.spec.pattern),
        "block_size": point.spec.method.own_block_size, "alpha": point.spec.pattern.outlier_rows,
        "alpha_budget": point.spec.pattern.budget or "paper", "seed": point.spec.calibration.seed,
        "counted_sparsity": point.counted_sparsity, "dense_perplexity": point.dense.perplexity, "perplexity": point.pruned.perplexity,
        "median_error": point.median_error, "median_over_optimum": over_optimum(point.median_gap), "solve_seconds": point.solve_seconds,
        **_shape(point), "seconds": point.seconds, "peak_memory_bytes": point.peak_memory_bytes, "machine": point.machine,
        "method_version": point.revisions.method, "run": point.key or "shipped",
    } for point in points]


def _shape(point: Point) -> dict[str, object]:
    """Parameters that are really gone, and what the model is worth, where that is known."""
    worth = point.worth
    gone: dict[str, object] = {"parameters": point.parameters, "parameters_gone": point.removed} if point.parameters else {}
    return gone | ({} if worth is None else {
        "folder_bytes": worth.folder_bytes, "prefill_over_dense": worth.prefill.median, "decode_over_dense": worth.decode.median,
        "prefill_tokens_per_second": worth.prefill_rate, "decode_tokens_per_second": worth.decode_rate, "batch": worth.batch,
        "speed_measured_on": worth.device})
