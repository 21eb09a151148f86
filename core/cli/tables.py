"""Tables of the runs of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from core.evaluate.comparison import compare
from core.records import RunResult
from core.spec import RunSpec
from core.spec.patterns import pattern_word


def block(spec: RunSpec) -> object:
    """B of a run, or nothing."""
    return spec.method.own_block_size or ""


def over_optimum(result: RunResult) -> str:
    """Median of error over optimum."""
    if result.median_gap is None:
        return "–"
    times = 1 + result.median_gap
    return f"{times:.2f}×" if times < 1000 else "over 1000×"  # with fewer tokens than inputs the least possible error is about zero


def table(results: Sequence[RunResult]) -> Table:
    """The runs of a sweep, side by side."""
    heads = ("method", "pattern", "B", "α", "counted", "dense", "pruned", "change, %", "gap", "seconds")
    listing = Table(*heads, box=None, padding=(0, 1, 0, 0))  # in 80 columns
    for result in results:
        spec = result.spec
        listing.add_row(spec.method.label, pattern_word(spec.pattern), str(block(spec)), f"{spec.pattern.outlier_rows:g}",
                        f"{100 * result.counted_sparsity:.1f} %", f"{result.dense.perplexity:.2f}", f"{result.pruned.perplexity:.2f}",
                        change(result).replace(" %", "").replace(" ± ", "±"), over_optimum(result), f"{result.seconds:.1f}")
    return listing


def texts_table(results: Sequence[RunResult]) -> Table | None:
    """The runs of a sweep on their further evaluation texts; None where none has one."""
    listing = Table("evaluation text", "method", "pattern", "counted", "dense", "pruned", "change", box=None)
    rows = [(name.spec.evaluation.word, result.spec.method.label, pattern_word(result.spec.pattern),
             f"{100 * result.counted_sparsity:.1f} %", f"{name.dense.perplexity:.2f}", f"{name.pruned.perplexity:.2f}", change(name))
            for result in results for name in result.on_each_text[1:]]
    for row in sorted(rows, key=lambda row: row[0]):
        listing.add_row(*row)
    return listing if rows else None


def change(result: RunResult) -> str:
    """The paired difference of the perplexities with its standard error over windows; within two of them a tie."""
    difference = compare(result.dense, result.pruned)
    return difference.verdict if difference else ""
