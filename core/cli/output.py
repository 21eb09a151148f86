"""Output of the command line: one JSON object, lines of CSV, tables and short reports on a terminal."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from filelock import FileLock, Timeout

from core.cli.screen import Screen
from core.cli.speed import show_size_and_speed
from core.cli.tables import block, over_optimum
from core.cli.tables import change as _change
from core.cli.tasks import show_tasks
from core.evaluate.comparison import compare
from core.records import Evaluated, RunResult
from core.records.runs import ONE_TEXT
from core.spec.errors import BadInput
from core.spec.patterns import pattern_word

_LOCK_SECONDS = 60  # for which another sweep may be writing the same file


def stored_runs(file: Path | None) -> list[RunResult]:
    """The runs of an earlier sweep; not those whose perplexity is no number, which older versions wrote.

    Raises BadInput for a file that is something else, so that it is not overwritten.
    """
    if file is None or str(file) == "-" or not file.is_file():
        return []
    try:
        runs = [RunResult.model_validate(entry) for entry in json.loads(file.read_text())["runs"]]
        return [run for run in runs if math.isfinite(run.dense.perplexity) and math.isfinite(run.pruned.perplexity)]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput("json", str(file), "a new file, or one that a sweep of this version wrote", "Choose another file.") from error


def require_writable(file: Path | None, field: str) -> None:
    """Raises BadInput for a file that could not be written in the end: asked before anything is computed."""
    if file is None or (field == "json" and str(file) == "-"):
        return
    if str(file) == "-" or file.is_dir() or not os.access(file if _is_device(file) else file.resolve().parent, os.W_OK):
        raise BadInput(field, str(file), "a file in a folder that is there and can be written",
                       f"There is no such folder as {file.parent}: make it, or choose another." if not file.parent.is_dir()
                       else "Choose another file.")


def write_json(content: dict[str, Any], file: Path | None) -> None:
    """One JSON object; a file appears whole or not at all."""
    if file is None:
        return
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    if str(file) == "-":
        sys.stdout.write(text + "\n")
    else:
        _replace(file, text, "json")


def merge_runs(results: Sequence[RunResult], file: Path) -> None:
    """Write the runs, with those that the file holds of other specs behind them: another sweep may be writing there, too."""
    if _is_device(file):
        write_json({"runs": [result.model_dump(mode="json") for result in results]}, file)
        return
    target = file.resolve()
    with FileLock(target.with_name(f".{target.name}.lock"), timeout=_LOCK_SECONDS):
        mine = [result.spec for result in results]
        others = [result for result in stored_runs(file) if result.spec not in mine]
        write_json({"runs": [result.model_dump(mode="json") for result in (*results, *others)]}, file)


@contextmanager
def own_file(file: Path | None, field: str) -> Generator[None]:
    """Hold a file against other sweeps. Raises BadInput where another sweep does."""
    if file is None or _is_device(file):
        yield
        return
    target = file.resolve()
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BadInput(field, str(file), "a file that no other sweep is writing",
                       "Choose another, or wait until that sweep has ended. (Two sweeps may share one file of --json.)") from error
    try:
        yield
    finally:
        lock.release()


def write_csv(results: Sequence[RunResult], file: Path) -> None:
    """One line a run; the file appears whole or not at all."""
    text = io.StringIO()
    rows = csv.writer(text)
    texts = list(dict.fromkeys(text.word for result in results for text in result.spec.further_evaluations))
    rows.writerow(["model", "method", "pattern", "block_size", "alpha", "counted_sparsity", "dense_perplexity",
                   "pruned_perplexity", "median_gap", "seconds", "peak_memory_bytes", "pruned_change_percent", "change_stderr_percent",
                   *(f"{name} {text}" for text in texts for name in ("dense_perplexity", "pruned_perplexity"))])
    for result in results:
        spec, change = result.spec, compare(result.dense, result.pruned)
        further = {text.spec.evaluation.word: (text.dense.perplexity, text.pruned.perplexity) for text in result.on_each_text[1:]}
        rows.writerow([spec.model, spec.method.name, pattern_word(spec.pattern), block(spec), spec.pattern.outlier_rows,
                       result.counted_sparsity, result.dense.perplexity, result.pruned.perplexity, result.median_gap, result.seconds,
                       result.peak_memory_bytes, change.percent if change else "", change.noise_percent if change else "",
                       *(value for text in texts for value in further.get(text, ("", "")))])
    _replace(file, text.getvalue(), "csv")


def _replace(file: Path, text: str, field: str) -> None:
    target = file.resolve()  # what a link leads to, not the link
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        if _is_device(file):  # /dev/stdout is written, not put aside
            file.write_text(text, newline="")
        else:
            part.write_text(text, newline="")
            part.replace(target)
    except OSError as error:
        raise BadInput(field, str(file), "a file that can be written", f"{error.strerror}.") from error


def _is_device(file: Path) -> bool:
    return file.exists() and not file.is_file() and not file.is_dir()


def further_lines(texts: Iterable[tuple[str, Evaluated]]) -> None:
    """A line for each further evaluation text: its perplexity, or both and their difference, and the protocol."""
    for told, measured in texts:
        Screen(highlight=False).print(f"perplexity        {told}   ({measured.protocol})", soft_wrap=True, markup=False)


def _perplexities(result: RunResult) -> str:
    change = _change(result)
    return f"{result.dense.perplexity:.2f} → {result.pruned.perplexity:.2f}{change and f', {change}'}"


def show(result: RunResult) -> None:
    """A finished run in five lines, and one more for each further evaluation text."""
    out = Screen(highlight=False)
    further_lines((_perplexities(text), text.pruned) for text in result.on_each_text)
    out.print(f"counted sparsity  {100 * result.counted_sparsity:.1f} % of {sum(layer.parameters for layer in result.layers):,} weights "
              f"in {len(result.layers)} layers")
    if result.shape is not None:
        out.print(f"shape             {result.shape.words}; {result.shape.left:,} are left", soft_wrap=True)
    else:
        error = (f"median {over_optimum(result)} the least possible for the mask" if result.median_gap is not None else
                 f"median {median(layer.relative_error for layer in result.layers):.3g}; the least possible was not computed")
        out.print(f"error             {error}; worst layer {result.worst.name} ({result.worst.relative_error:.3g})", soft_wrap=True)
    estimated = [layer for layer in result.layers if layer.optimum_rows is not None]
    if estimated:
        out.print(f"                  the least possible of {len(estimated)} layers is estimated: {result.worst.name} by an "
                  f"{result.worst.optimum_words}" if result.worst in estimated else
                  f"                  the least possible of {len(estimated)} layers is estimated from some of their rows", soft_wrap=True)
    if result.reconstruction:
        out.print(f"reconstruction    {result.reconstruction_words}", soft_wrap=True)
    out.print(f"calibration       {result.calibration}", soft_wrap=True)
    if result.one_text:
        out.print(f"caution           {ONE_TEXT}", soft_wrap=True)
    for note in result.notes:
        out.print(f"note              {note}", soft_wrap=True, markup=False)
    out.print(f"time, memory      {result.seconds:.1f} s, {result.peak_memory_bytes / 1e9:.2f} GB, {result.environment.device}")
    if result.placement is not None and result.placement.weights == "blocks":
        out.print(f"places            {result.placement.words}", soft_wrap=True)


def show_export(result: RunResult) -> None:
    """The comparison of the exported model with its run, in a line."""
    if result.export is not None:
        Screen(highlight=False).print(f"export            {result.export.words}", soft_wrap=True, markup=False)


def show_all(result: RunResult) -> None:
    """A finished run, with what else was asked for."""
    show(result)
    if result.tasks:
        show_tasks(result.tasks)
    if result.size and result.speed:
        show_size_and_speed(result.size, result.speed)
