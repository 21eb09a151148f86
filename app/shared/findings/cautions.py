"""Reasons why runs are less comparable than they look, in sentences computed from the runs."""

from __future__ import annotations

from collections.abc import Sequence

from app.shared import numbers
from app.shared.comparison import Compared, common_layers
from app.shared.findings import wording
from app.shared.findings.wording import listed
from core.records import Evaluated

EQUAL_SPARSITY = 0.001  # counted sparsities further apart than 0.1 point are not equal
_DENSE_AGREE = 1e-4
_FACTS = {"text": "text", "text_sha256": "contents", "windows": "windows", "length": "tokens per window", "dtype": "arithmetic"}


def cautions(runs: Sequence[Compared]) -> list[str]:
    """Everything that makes runs less comparable than they look, each with which run, and by how much. Empty: all is alike."""
    if len(runs) < 2:
        return []
    return list(filter(None, (_models(runs), _protocols(runs), unequal_sparsities(runs), _calibrations(runs), _layers(runs),
                              _tokens(runs))))


def same_evaluation(runs: Sequence[Compared]) -> bool:
    """True if the perplexities are of the same model on the same text, in the same windows and arithmetic."""
    return len({(run.result.revisions.model, *_protocol(run.result.pruned).values()) for run in runs}) == 1


def same_calibration(runs: Sequence[Compared]) -> bool:
    """True if the layer errors are on the same model and calibration tokens."""
    return len({(run.result.revisions.model, run.result.revisions.calibration, run.result.calibration) for run in runs}) == 1


def _models(runs: Sequence[Compared]) -> str:
    if len({run.result.revisions.model for run in runs}) == 1:
        return ""
    names = [run.result.spec.model for run in runs]
    told = each_run(runs, names) if len(set(names)) > 1 else \
        f"all are called {names[0]}, their contents differ ({each_run(runs, [run.result.revisions.model[:8] for run in runs])})"
    return f"Different models: {told}. Compare each run with its own dense model, not with the others."


def _protocols(runs: Sequence[Compared]) -> str:
    """Other protocols; or the same, and yet another perplexity of the same dense model."""
    protocols = [_protocol(run.result.dense) for run in runs]
    unlike = [name for name in _FACTS if len({protocol[name] for protocol in protocols}) > 1]
    if "text" in unlike and "text_sha256" in unlike:
        unlike.remove("text_sha256")
    if unlike:
        told = "; ".join(f"{_FACTS[name]}: {each_run(runs, [protocol[name] for protocol in protocols])}" for name in unlike)
        return f"Perplexities are not measured alike ({told}). Their values must not be compared."
    dense = [run.result.dense.perplexity for run in runs]
    if len({run.result.revisions.model for run in runs}) == 1 and max(dense) - min(dense) > _DENSE_AGREE * min(dense):
        where = each_run(runs, [run.result.environment.device for run in runs])
        return (f"The dense perplexity is not the same although the protocol is: {each_run(runs, [f'{value:.4f}' for value in dense])}; "
                f"computed on {where}.")
    return ""


def unequal_sparsities(runs: Sequence[Compared]) -> str:
    ordered = sorted(runs, key=lambda run: run.result.counted_sparsity)
    low, high = ordered[0].result.counted_sparsity, ordered[-1].result.counted_sparsity
    if high - low <= EQUAL_SPARSITY:
        return ""
    least = [run.label for run in runs if run.result.counted_sparsity - low <= EQUAL_SPARSITY]
    return (f"Not equally sparse: {each_run(runs, [numbers.percent(run.result.counted_sparsity) for run in runs])} counted, up to "
            f"{numbers.points(high - low)} apart. {listed(least)} {'removes' if len(least) == 1 else 'remove'} least, the easier task.")


def _calibrations(runs: Sequence[Compared]) -> str:
    if same_calibration(runs) or len({run.result.revisions.model for run in runs}) > 1:
        return ""
    words = [run.result.calibration for run in runs]
    told = each_run(runs, words) if len(set(words)) > 1 else "the texts' contents differ"
    return f"Calibrated differently: {told}. Each run's layer errors stand on its own tokens."


def _layers(runs: Sequence[Compared]) -> str:
    common, counts = len(common_layers(runs)), [len(run.result.layers) for run in runs]
    if all(count == common for count in counts):
        return ""
    return f"Not the same layers: {each_run(runs, [str(count) for count in counts])}; {common} in common are shown."


def _tokens(runs: Sequence[Compared]) -> str:
    """Runs whose errors say little by themselves."""
    said = {run.label: text for run in runs if (text := wording.caution(run.result))}
    if not said:
        return ""
    who = "" if len(said) == len(runs) else f"{listed(list(said))}: "
    return who + next(iter(said.values()))


def _protocol(evaluated: Evaluated) -> dict[str, str]:
    return {name: str(getattr(evaluated, name))[:12 if name == "text_sha256" else None] for name in _FACTS}


def each_run(runs: Sequence[Compared], values: Sequence[str]) -> str:
    """`A (1), B (2)`; `1 (A and B), 2 (C)` where several share a value."""
    if len(set(values)) == len(values):
        return ", ".join(f"{run.label} ({value})" for run, value in zip(runs, values, strict=True))
    return ", ".join(f"{value} ({listed([run.label for run, own in zip(runs, values, strict=True) if own == value])})"
                     for value in dict.fromkeys(values))
