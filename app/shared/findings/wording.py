"""Findings of a result, in sentences computed from its numbers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from functools import lru_cache

from app.shared import numbers
from app.shared.link import to_words
from core.evaluate.comparison import compare
from core.records import Evaluated, LayerRecord, RunResult
from core.records.previews import Preview
from core.spec import METHOD_LABELS, OPTIONS, UPDATES, RunSpec
from core.spec.patterns import Pattern

_TOLD = ("model", "method", "pattern", "alpha", "alpha_budget", "block_size", *(name for name in OPTIONS if name != "true_sequential"))
_SAMPLES = {  # words of the two texts, as they are told
    "calibration": {"calibration": "{}", "windows": "{} windows", "length": "of {} tokens", "seed": "seed {}", "bos": "BOS token {}"},
    "evaluation": {"evaluation": "{}", "evaluation_windows": "{} windows", "evaluation_length": "of {} tokens",
                   "evaluation_bos": "BOS token {}"},
}
_AT_OPTIMUM = 0.005  # a gap below half a percent is none to speak of


def describe(spec: RunSpec) -> str:
    """A run in a line: `demo · Thanos · 50 % of the weights · B = 128`."""
    parts = [spec.model, METHOD_LABELS[spec.method.name], describe_pattern(spec.pattern)]
    block = spec.method.own_block_size
    if block:
        parts.append(f"B = {block}")
    if spec.pattern.outlier_rows:
        budget = "" if spec.pattern.budget in (None, "paper") else " (total kept)"
        parts.append(f"α = {numbers.setting(spec.pattern.outlier_rows)}{budget}")
        if spec.random_rows is not None:
            parts.append(f"random rows, draw {spec.random_rows}")
    if spec.update != "own":
        parts.append(f"update: {UPDATES[spec.update]}")
    if spec.refit:
        parts.append("exact refit")
    if spec.allocation != "even":
        parts.append("shared out between layers" + (" by one threshold" if spec.allocation == "global" else ""))
    if spec.propagation:
        parts.append(f"error propagation {numbers.setting(spec.propagation)}")
    if spec.fisher:
        parts.append(f"Fisher weighting {numbers.setting(spec.fisher)}")
    if spec.reconstruct:
        aim = "" if spec.reconstruct_aim == "model" else " toward the dense block"
        parts.append(f"reconstruction in {spec.reconstruct} pass{'' if spec.reconstruct == 1 else 'es'}{aim}")
    if spec.experts != "routed":
        parts.append("all tokens to all experts" if spec.experts == "all" else "experts without tokens stay dense")
    some = (f"without {spec.skip.replace(',', ', ')}" if spec.skip else "", spec.layer_sparsity.replace(",", ", ").replace("=", " at "),
            "optimum left out" if spec.no_optimum else "")
    return " · ".join([*parts, *filter(None, some)])


@lru_cache(maxsize=4096)
def both(spec: RunSpec) -> tuple[str, str]:
    """`describe` and `describe_rest`, kept: lists and searches of hundreds of runs ask for them each time."""
    return describe(spec), describe_rest(spec)


def describe_rest(spec: RunSpec) -> str:
    """Settings that `describe` leaves out and that are not the default: `damping 0.1, calibration 32 windows of 256 tokens, seed 4`."""
    words = {word: text for word, text in to_words(spec).items() if word not in _TOLD}
    further = words.pop("further_evaluations", "")
    said = [f"no {word}" if (word, text) == ("damping", "0") else f"{word.replace('_', ' ')} {text}"
            for word, text in words.items() if not any(word in forms for forms in _SAMPLES.values())]
    texts = [f"{numbers.plural(len(spec.further_evaluations), 'further text')}"] if further else []
    return ", ".join([*said, *(part for name, forms in _SAMPLES.items() for part in _sample(name, words, forms)), *texts])


def describe_pattern(pattern: Pattern) -> str:
    """`50 % of the weights`, `2:4`, `30 % of the columns`."""
    if pattern.counts and pattern.share is None:
        return numbers.plural(int(pattern.amount or 0), pattern.unit.removesuffix("s"))
    if pattern.share is None:
        return pattern.word
    return f"{numbers.setting(100 * pattern.share)} % of the {pattern.unit}"


def state(name: str) -> str:
    """The state of a run as pages write it; records, links and JSON spell `cancelled`."""
    return name.replace("cancelled", "canceled")


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


def short_name(layer: LayerRecord) -> str:
    """A layer by block and module: `3.mlp.down_proj`."""
    return f"{layer.block}.{layer.module}"


def finding(result: RunResult) -> str:
    """Finding of a run: distance from the optimum, worst layer, cost in perplexity."""
    worst = result.worst
    if result.shape is not None:
        words = numbers.grouped(result.shape.words)
        return f"{words[0].upper()}{words[1:]}, chosen by {_method(result.spec)}. {_cost(result.dense, result.pruned)}"
    if worst.relative_error <= 0:
        return f"{_method(result.spec)} changes no layer's output here: nothing that matters was removed."
    return f"{_over_optimum(result)} {_worst(worst)} {_cost(result.dense, result.pruned)}"


def preview_finding(preview: Preview) -> str:
    """Finding of a preview, in the words of a run's finding."""
    worst = preview.worst
    if worst.relative_error <= 0:
        return f"{_method(preview.spec)} would change no layer's output: nothing that matters would be removed."
    return f"{_over_optimum(preview)} {_worst(worst)} {_cost(preview.dense, preview.pruned)}"


def caution(result: RunResult) -> str:
    """Caution where the errors of this run say little; empty otherwise."""
    short = [layer for layer in result.layers if layer.tokens < layer.shape[1] and result.layers_changed]
    if not short:
        return ""
    widest = max(short, key=lambda layer: layer.shape[1])
    inputs = numbers.count(widest.shape[1])
    return (f"Only {numbers.count(widest.tokens)} calibration tokens for layers with up to {inputs} inputs: "
            "with fewer tokens than inputs the best possible error is close to zero for any mask. Use more calibration windows.")


def _method(spec: RunSpec) -> str:
    name = METHOD_LABELS[spec.method.name] + (" with refit" if spec.refit else "")
    return name if spec.update == "own" else f"{name}'s mask with the update {UPDATES[spec.update]}"


def _over_optimum(found: RunResult | Preview) -> str:
    spec, gap = found.spec, found.median_gap
    if gap is None:
        middle = statistics.median(layer.relative_error for layer in found.layers)
        return f"The median layer error of {_method(spec)} is {numbers.error(middle)}; the best possible was not computed."
    if gap < _AT_OPTIMUM:
        return f"{_method(spec)} reaches the best possible error for its mask: all of the remaining error is due to the mask."
    if not math.isfinite(gap):
        return f"{_method(spec)} makes an error where none was needed: with other values of the kept weights the error would be 0."
    told = f"{_method(spec)} leaves {numbers.over_optimum(gap)} the best possible error for its mask (median of the layers)"
    return f"{told}: outputs compensate for each other, weighted by the loss." if coupled(spec) else f"{told}."


def coupled(spec: RunSpec) -> bool:
    """True if weights give up some of their layers' error for the loss (core/layer/coupled_rows.py)."""
    return bool(spec.fisher) and spec.method.couples and spec.update == "own" and not spec.refit


def _worst(worst: LayerRecord) -> str:
    beside = "" if worst.gap is None or worst.gap < _AT_OPTIMUM else f", {numbers.over_optimum(worst.gap)} its optimum"
    return f"Worst layer: {short_name(worst)} with error {numbers.error(worst.relative_error)}{beside}."


def _sample(name: str, words: Mapping[str, str], forms: Mapping[str, str]) -> list[str]:
    said = [form.format(words[word]) for word, form in forms.items() if word in words]
    said = ["1 window" if text == "1 windows" else text for text in said]
    return [" ".join([name, *said])] if said else []


def _cost(dense: Evaluated, pruned: Evaluated) -> str:
    """The change of perplexity with its standard error over windows; within two of them it is a tie."""
    if not (math.isfinite(dense.perplexity) and math.isfinite(pruned.perplexity)):
        return "The pruned model predicts nothing any more."
    change, effect = pruned.perplexity / dense.perplexity - 1, compare(dense, pruned)
    if change > 9:
        return f"Perplexity is {numbers.times(1 + change)} that of the dense model: it is broken."
    if effect is not None and effect.noise is not None and abs(change) > 0:
        if effect.tied:
            return f"The change of perplexity is within its noise: {effect.text} over {numbers.plural(effect.windows, 'window')}."
        return f"Perplexity {'rises' if change > 0 else 'falls'} by {effect.text.lstrip('+−')}."
    if abs(change) < 0.0005:
        return "Perplexity stays the same."
    return f"Perplexity {'rises' if change > 0 else 'falls'} by {numbers.percent(abs(change))}."


WEIGHED = "Here an error counts all outputs the same; the methods went by what the loss feels."
