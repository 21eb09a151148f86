"""Results as rows, for tables on a page and for files to take away."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence

from app.shared.comparison import Compared, common_layers
from core.records import LayerRecord, PlannedLayer, RemovedShape, RunResult

LAYER_COLUMNS = ("layer", "block", "module", "outputs", "inputs", "counted_sparsity", "relative_error", "optimum_error",
                 "over_optimum", "seconds", "damping", "dense_rows", "dense_columns", "tokens")


def layer_rows(layers: Sequence[LayerRecord]) -> list[dict[str, object]]:
    """One row a layer, all that is known of it."""
    return [dict(zip(LAYER_COLUMNS, (
        layer.name, layer.block, layer.module, *layer.shape, layer.counted_sparsity, layer.relative_error, layer.optimum_error,
        over_optimum(layer.gap), layer.seconds, layer.damping, layer.dense_rows, layer.dense_columns, layer.tokens), strict=True))
        for layer in layers]


def planned_rows(layers: Sequence[PlannedLayer]) -> list[dict[str, object]]:
    """One row a layer that would be pruned."""
    return [{"layer": layer.name, "shape": f"{layer.rows} × {layer.columns}", "weights": layer.parameters, "zeros": layer.pruned,
             "share": layer.pruned / max(1, layer.parameters), "dense rows": layer.dense_rows,
             "dense columns": layer.dense_columns} for layer in layers]


def score_rows(shape: RemovedShape) -> list[dict[str, object]]:
    """One row a candidate block: its score, and True if it is gone."""
    return [{"block": block, "score": value, "gone": block in shape.blocks} for block, value in shape.scores.items()]


def layers_csv(result: RunResult) -> str:
    """The layers of a result as CSV, with the protocol in comment lines above."""
    return rows_csv(layer_rows(result.layers), layers_protocol(result))


def layers_protocol(result: RunResult) -> tuple[str, ...]:
    """Protocol of the numbers of a run's layers, a line each."""
    return (result.spec.title, f"calibration: {result.calibration}", f"evaluation: {result.pruned.protocol}",
            f"perplexity: dense {result.dense.perplexity!r}, pruned {result.pruned.perplexity!r}")


def compared_rows(runs: Sequence[Compared]) -> list[dict[str, object]]:
    """One row a run: its settings, then what was found."""
    return [{"run": run.label, **run.settings, "dense perplexity": run.result.dense.perplexity,
             "pruned perplexity": run.result.pruned.perplexity, "counted sparsity": run.result.counted_sparsity,
             "median error over optimum": over_optimum(run.result.median_gap), "seconds": run.result.seconds,
             "peak memory bytes": run.result.peak_memory_bytes, "measured on": run.result.pruned.protocol} for run in runs]


def compared_layers(runs: Sequence[Compared]) -> list[dict[str, object]]:
    """One row a layer that all runs have: the error of each, then the least possible for its mask."""
    return [{"layer": name, **{run.label: run.layers[name].relative_error for run in runs},
             **{f"{run.label}, best possible": run.layers[name].optimum_error for run in runs},
             **{f"{run.label}, counted sparsity": run.layers[name].counted_sparsity for run in runs}} for name in common_layers(runs)]


def compared_protocol(runs: Sequence[Compared]) -> tuple[str, ...]:
    """Protocol of the numbers of a comparison, a line each."""
    return tuple(f"{run.label}: {line}" for run in runs for line in layers_protocol(run.result))


def rows_csv(rows: Sequence[Mapping[str, object]], protocol: Sequence[str]) -> str:
    """Rows as CSV in full precision, under one comment line for each line of the protocol. Rows may have different columns."""
    text = io.StringIO()
    text.writelines(f"# {' '.join(line.split())}\n" for line in protocol)  # no line may break out of its comment
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def rows_json(rows: Sequence[Mapping[str, object]], protocol: Sequence[str]) -> str:
    """Rows as JSON that every reader accepts: `{"protocol": [...], "rows": [...]}`; infinity and NaN are strings of that name."""
    return json.dumps({"protocol": list(protocol), "rows": [{name: _strict(value) for name, value in row.items()} for row in rows]},
                      indent=1, ensure_ascii=False, allow_nan=False)


def over_optimum(gap: float | None) -> float | None:
    """f/f* from f/f* − 1; None where f* was not computed."""
    return None if gap is None else 1 + gap


def _strict(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
