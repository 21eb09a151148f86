"""Protocol and outcome of a run: terms and what they are."""

from __future__ import annotations

from collections.abc import Sequence

from app.shared import numbers
from app.shared.comparison import Compared
from app.shared.findings import wording
from core.evaluate.comparison import compare
from core.records import RunResult
from core.records.runs import ONE_TEXT
from core.spec import RunSpec

Fact = tuple[str, str]


def measured(result: RunResult) -> list[Fact]:
    """Protocol, texts, machine, versions of a run."""
    where, stages = result.environment, sorted(result.stages.items(), key=lambda stage: -stage[1])
    asked = result.spec.method.own_damping
    raised = [(layer, layer.damping) for layer in result.layers if asked is not None and layer.damping and layer.damping > asked]
    found = [
        ("Perplexity", f"{result.pruned.protocol}; {numbers.count(result.pruned.tokens)} predicted tokens, exp of the mean loss"),
        ("Evaluation text", f"sha256 {result.pruned.text_sha256[:16]}…"),
        *((f"Perplexity on text {place}", f"{text.pruned.protocol}; text sha256 {text.pruned.text_sha256[:16]}…")
          for place, text in enumerate(result.further_evaluations, 2)),
        ("Calibration", result.calibration),
        *([("Caution", ONE_TEXT)] if result.one_text else []),
        *(("Model folder", note) for note in result.notes),
        *([("Exported model", result.export.words)] if result.export else []),
        *_removed(result),
        ("Layer error", "tr(ΔGΔᵀ) / tr(WGWᵀ) on the calibration tokens; best possible: least squares over the kept weights"),
        ("Computed", f"{numbers.moment(where.started)} on {where.device}"),
        ("Programs", f"Python {where.python}, torch {where.torch}, transformers {where.transformers}"),
        ("Time by stage", ", ".join(f"{stage} {numbers.seconds(spent)}" for stage, spent in stages)),
        ("Versions", f"method {result.revisions.method}, core {result.revisions.core}, model {result.revisions.model[:12]}"),
    ]
    if result.spec.propagation:
        found.append(("Error propagation", f"{numbers.setting(result.spec.propagation)}: W are the weights after each layer has made up "
                      "for this share of what the pruned blocks before it had lost"))
    found += weighed(result.spec)
    if result.reconstruction:
        found.append(("Block reconstruction", result.reconstruction_words))
    if result.spec.random_rows is not None and result.spec.pattern.outlier_rows:
        found.append(("Rows that stay dense", f"at random, draw {result.spec.random_rows}: the control of those with the most energy"))
    if result.resumed_blocks:
        found.append(("Resumed", f"{numbers.plural(result.resumed_blocks, 'block')} taken over from an interrupted run"))
    if raised:
        words = [f"{wording.short_name(layer)} to λ = {numbers.setting(damping)}" for layer, damping in raised[:6]]
        found.append(("Damping raised", ", ".join(words) + (f" and {len(raised) - 6} more" if len(raised) > 6 else "")))
    return found


def _removed(result: RunResult) -> list[Fact]:
    """Structures that are gone, and the scores that decided."""
    shape = result.shape
    if shape is None:
        return []
    gone = ("Gone", f"{numbers.grouped(shape.words)}; {numbers.count(shape.left)} are left")
    if not shape.scores:
        return [gone]
    scores = ", ".join(f"{block}: {numbers.error(value)}" for block, value in shape.scores.items())
    return [gone, ("Scores of the blocks", f"{scores} ({shape.score}, on {numbers.count(shape.tokens)} calibration tokens; the least go)")]


def weighed(spec: RunSpec) -> list[Fact]:
    """Effect of Fisher weighting, where it was asked for."""
    if not spec.fisher:
        return []
    how = ("and outputs compensate for each other, so that errors end above the best possible" if wording.coupled(spec)
           else "and what went was chosen so")
    return [("Fisher weighting", f"{numbers.setting(spec.fisher)}: errors count as their outputs do for the loss, {how}; the errors shown "
             "count all outputs the same")]


def measured_together(runs: Sequence[Compared]) -> list[Fact]:
    """The same of runs side by side; what is the same for all is said once."""
    results = [run.result for run in runs]
    return [
        *_once_or_each(runs, "Perplexity", [f"{item.pruned.protocol}; text sha256 {item.pruned.text_sha256[:16]}…" for item in results]),
        *_once_or_each(runs, "Calibration", [item.calibration for item in results]),
        ("Layer error", "tr(ΔGΔᵀ) / tr(WGWᵀ) on the run's own inputs: they pass through the blocks that this run has pruned; "
                        "best possible: least squares over the kept weights"),
        *_once_or_each(runs, "Computed", [f"{numbers.moment(item.environment.started)} on {item.environment.device}" for item in results]),
    ]


def outcomes(runs: Sequence[Compared]) -> list[tuple[str, list[str]]]:
    """The numbers of each run, by what they are."""
    results = [run.result for run in runs]
    return [
        ("Perplexity, dense → pruned", [_perplexities(item) for item in results]),
        *further_outcomes(results),
        ("Counted sparsity", [numbers.percent(item.counted_sparsity) for item in results]),
        *([("Parameters gone", [_gone(item) for item in results])] if any(item.shape for item in results) else []),
        ("Error over optimum, median", ["–" if item.shape else numbers.over_optimum(item.median_gap) for item in results]),
        ("Time · memory", [f"{numbers.seconds(item.seconds)} · {numbers.size(item.peak_memory_bytes)}" for item in results]),
    ]


def _gone(result: RunResult) -> str:
    shape = result.shape
    return "none: zeros" if shape is None else f"{numbers.count(shape.removed)} of {numbers.count(shape.parameters)}"


def further_outcomes(results: Sequence[RunResult]) -> list[tuple[str, list[str]]]:
    """Perplexities on every further evaluation text of some runs; "–" where a run was not measured on it."""
    texts = [{text.spec.evaluation.word: _perplexities(text) for text in item.on_each_text} for item in results]
    words = dict.fromkeys(text.word for item in results for text in item.spec.further_evaluations)
    return [(f"Perplexity on {word}", [found.get(word, "–") for found in texts]) for word in words]


def _perplexities(result: RunResult) -> str:
    """`29.33 → 30.10 (+2.6 % ± 0.3 %)`, or that it is a tie."""
    change = compare(result.dense, result.pruned)
    noise = f" ({change.verdict})" if change is not None and change.noise is not None else ""
    return f"{numbers.perplexity(result.dense.perplexity)} → {numbers.perplexity(result.pruned.perplexity)}{noise}"


def _once_or_each(runs: Sequence[Compared], term: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    """Text that is the same for all, once, or each."""
    if len(set(texts)) == 1:
        return [(term, texts[0])]
    return [(f"{term}, {run.label}", text) for run, text in zip(runs, texts, strict=True)]
