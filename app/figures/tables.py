"""Results as rows, for tables on a page and for files to take away."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from core.records import LayerRecord, PlannedLayer, RunResult

LAYER_COLUMNS = ("layer", "block", "module", "outputs", "inputs", "counted_sparsity", "relative_error", "optimum_error",
                 "over_optimum", "seconds", "damping", "dense_rows", "dense_columns", "tokens")


def layer_rows(layers: Sequence[LayerRecord]) -> list[dict[str, object]]:
    """One row a layer, all that is known of it."""
    return [dict(zip(LAYER_COLUMNS, (
        layer.name, layer.block, layer.module, *layer.shape, layer.counted_sparsity, layer.relative_error, layer.optimum_error,
        1 + layer.gap, layer.seconds, layer.damping, layer.dense_rows, layer.dense_columns, layer.tokens), strict=True))
        for layer in layers]


def planned_rows(layers: Sequence[PlannedLayer]) -> list[dict[str, object]]:
    """One row a layer that would be pruned."""
    return [{"layer": layer.name, "shape": f"{layer.rows} × {layer.columns}", "weights": layer.parameters, "zeros": layer.pruned,
             "share": 100 * layer.pruned / max(1, layer.parameters), "dense rows": layer.dense_rows,
             "dense columns": layer.dense_columns} for layer in layers]


def layers_csv(result: RunResult) -> str:
    """The layers of a result as CSV, with the protocol in comment lines above."""
    text = io.StringIO()
    text.write(f"# {result.spec.title}\n# calibration: {result.calibration}\n# evaluation: {result.pruned.protocol}\n"
               f"# perplexity: dense {result.dense.perplexity!r}, pruned {result.pruned.perplexity!r}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LAYER_COLUMNS)
    writer.writerows(row.values() for row in layer_rows(result.layers))
    return text.getvalue()
