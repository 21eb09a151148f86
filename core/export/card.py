"""Model card and recipe of a pruned model: a README.md and a recipe.json made from a run's record."""
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from core.evaluate.comparison import TIE, compare
from core.models.folders import ModelSource
from core.records import RunResult
from core.records.runs import ONE_TEXT
from core.records.tasks import Score, TaskScores
from core.spec import OPTIONS, RunSpec
from core.spec.flags import command_line, to_words

CARD, RECIPE = "README.md", "recipe.json"


def model_card(result: RunResult, source: ModelSource) -> str:
    """README.md of the pruned model of `result`, in Markdown with the hub's header. `source`: the dense model's folder."""
    spec, worst, where = result.spec, result.worst, result.environment
    weights = sum(layer.parameters for layer in result.layers)
    zeros = sum(round(layer.counted_sparsity * layer.parameters) for layer in result.layers)
    return _template().render(
        base_model=source.name if source.origin == "hub" else "", model=spec.model, method=spec.method.label, method_tag=spec.method.name,
        pattern=spec.pattern.word, weights=f"{weights:,}", zeros=f"{zeros:,}", layers=len(result.layers),
        counted=f"{100 * result.counted_sparsity:.2f} %", settings=[*settings(spec), ("Calibration", result.calibration)],
        texts=[(text, compare(text.dense, text.pruned)) for text in result.on_each_text], scores=_scores(result),
        rounded=result.pruned.dtype != source.dtype, measured_dtype=result.pruned.dtype,
        stored_dtype=source.dtype, median_gap=_times(result.median_gap), worst=worst.name,
        worst_error=f"{worst.relative_error:.3g}", one_text=ONE_TEXT if result.one_text else "",
        shape=result.shape.words if result.shape else "", left=f"{result.shape.left:,}" if result.shape else "",
        exported=result.export.words if result.export else "", command=command_line(spec),
        revision=result.revisions.model, device=where.device, python=where.python, torch=where.torch, transformers=where.transformers)


def _times(gap: float | None) -> str:
    return "not computed" if gap is None else f"{1 + gap:.2f}×" if gap < 999 else "over 1000×"


def recipe(result: RunResult) -> str:
    """recipe.json: the settings of a run, the revisions they were used with, and the command that repeats it."""
    spec = result.spec
    return json.dumps({"command": command_line(spec), "words": to_words(spec), "spec": spec.model_dump(mode="json"),
                       "revisions": result.revisions.model_dump(mode="json")}, indent=1, ensure_ascii=False) + "\n"


def settings(spec: RunSpec) -> list[tuple[str, str]]:
    """Names and values of what was done: method, pattern, their parameters, and what differs from the default beside them."""
    pattern = spec.pattern
    found = [("Method", spec.method.label), ("Pattern", pattern.word)]
    found += [(str(about.title or name), _text(getattr(spec.method, name))) for name, about in spec.method.parameters().items()]
    if pattern.outlier_rows:
        found.append(("Outlier rows α", f"{pattern.outlier_rows:g}"))
    usual = RunSpec()
    found += [(str(RunSpec.model_fields[name].title), _text(getattr(spec, name))) for name in OPTIONS
              if getattr(spec, name) != getattr(usual, name)]
    return found


def _scores(result: RunResult) -> list[tuple[str, str, str, str]]:
    """Name, dense, pruned and pruned − dense of each metric of each task."""
    return [(f"{name}, {metric} ({scores.examples} of {scores.available} examples)" if scores.limited else f"{name}, {metric}",
             _score(scores.dense.scores.get(metric) if scores.dense else None), _score(found), _change(scores, metric))
            for name, scores in (result.tasks or {}).items() for metric, found in scores.scores.items()]


def _score(score: Score | None) -> str:
    if score is None:
        return ""
    return f"{score.value:.4f}" + (f" ± {score.stderr:.4f}" if score.stderr is not None else "")


def _change(scores: TaskScores, metric: str) -> str:
    change = scores.difference(metric) if scores.dense and metric in scores.dense.scores else None
    if change is None:
        return ""
    tie = change.stderr is not None and abs(change.value) <= TIE * change.stderr
    told = f"{0 - change.value:+.4f}".replace("-", "−") + (f" ± {change.stderr:.4f}" if change.stderr is not None else "")
    return f"tie ({told})" if tie else told


def _text(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else "automatic" if value is None else str(value)


def _cell(text: object) -> str:
    """Text of a person or a file as plain text in a line or a table's cell of Markdown."""
    return "".join(f"\\{letter}" if letter in "\\`*_|[]<>#" else letter for letter in " ".join(str(text).split()))


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=False, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    environment.filters["cell"] = _cell
    return environment.get_template("card.md.j2")
