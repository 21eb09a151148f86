"""Findings of a comparison, and its cautions: sentences computed from the runs."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence

from app.shared import numbers
from app.shared.comparison import Compared, common_layers
from app.shared.findings import wording
from core.records import Evaluated

EQUAL_SPARSITY = 0.001  # counted sparsities further apart than 0.1 point are not equal
_SAME = 0.02  # errors within 2 % in the median are alike
_DENSE_AGREE = 1e-4
_FACTS = {"text": "text", "text_sha256": "contents", "windows": "windows", "length": "tokens per window", "dtype": "arithmetic"}


def cautions(runs: Sequence[Compared]) -> list[str]:
    """Everything that makes runs less comparable than they look, each with which run, and by how much. Empty: all is alike."""
    if len(runs) < 2:
        return []
    return list(filter(None, (_models(runs), _protocols(runs), _sparsities(runs), _calibrations(runs), _layers(runs),
                              _tokens(runs))))


def verdict(runs: Sequence[Compared]) -> str:
    """Run with the lower perplexity and the lower layer errors, by how much, and whether masks or weights make the difference."""
    if len(runs) == 1:
        return wording.finding(runs[0].result)
    return " ".join(filter(None, (_perplexity(runs), _errors(runs))))


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
    told = _each(runs, names) if len(set(names)) > 1 else \
        f"all are called {names[0]}, their contents differ ({_each(runs, [run.result.revisions.model[:8] for run in runs])})"
    return f"Different models: {told}. Compare each run with its own dense model, not with the others."


def _protocols(runs: Sequence[Compared]) -> str:
    """Other protocols; or the same, and yet another perplexity of the same dense model."""
    protocols = [_protocol(run.result.dense) for run in runs]
    unlike = [name for name in _FACTS if len({protocol[name] for protocol in protocols}) > 1]
    if "text" in unlike and "text_sha256" in unlike:
        unlike.remove("text_sha256")
    if unlike:
        told = "; ".join(f"{_FACTS[name]}: {_each(runs, [protocol[name] for protocol in protocols])}" for name in unlike)
        return f"Perplexities are not measured alike ({told}). Their values must not be compared."
    dense = [run.result.dense.perplexity for run in runs]
    if len({run.result.revisions.model for run in runs}) == 1 and max(dense) - min(dense) > _DENSE_AGREE * min(dense):
        where = _each(runs, [run.result.environment.device for run in runs])
        return (f"The dense perplexity is not the same although the protocol is: {_each(runs, [f'{value:.4f}' for value in dense])}; "
                f"computed on {where}.")
    return ""


def _sparsities(runs: Sequence[Compared]) -> str:
    ordered = sorted(runs, key=lambda run: run.result.counted_sparsity)
    low, high = ordered[0].result.counted_sparsity, ordered[-1].result.counted_sparsity
    if high - low <= EQUAL_SPARSITY:
        return ""
    least = [run.label for run in runs if run.result.counted_sparsity - low <= EQUAL_SPARSITY]
    return (f"Not equally sparse: {_each(runs, [numbers.percent(run.result.counted_sparsity) for run in runs])} counted, up to "
            f"{100 * (high - low):.1f} points apart. {_and(least)} {'removes' if len(least) == 1 else 'remove'} least, the easier task.")


def _calibrations(runs: Sequence[Compared]) -> str:
    if same_calibration(runs) or len({run.result.revisions.model for run in runs}) > 1:
        return ""
    words = [run.result.calibration for run in runs]
    told = _each(runs, words) if len(set(words)) > 1 else "the texts' contents differ"
    return f"Calibrated differently: {told}. Each run's layer errors stand on its own tokens."


def _layers(runs: Sequence[Compared]) -> str:
    common, counts = len(common_layers(runs)), [len(run.result.layers) for run in runs]
    if all(count == common for count in counts):
        return ""
    return f"Not the same layers: {_each(runs, [str(count) for count in counts])}; {common} in common are shown."


def _tokens(runs: Sequence[Compared]) -> str:
    """Runs whose errors say little by themselves."""
    said = {run.label: text for run in runs if (text := wording.caution(run.result))}
    if not said:
        return ""
    who = "" if len(said) == len(runs) else f"{_and(list(said))}: "
    return who + next(iter(said.values()))


def _perplexity(runs: Sequence[Compared]) -> str:
    if not same_evaluation(runs):
        told = [f"{run.label} {_change(run)}" for run in runs]
        return f"Perplexity against each run's own dense model: {_and(told)}."
    dense = runs[0].result.dense.perplexity
    alive = sorted((run for run in runs if math.isfinite(run.result.pruned.perplexity)), key=lambda run: run.result.pruned.perplexity)
    broken = [run.label for run in runs if run not in alive]
    dead = f" {_and(broken)} {'predicts' if len(broken) == 1 else 'predict'} nothing any more." if broken else ""
    if len(alive) < 2:
        return (f"{alive[0].label} ends at perplexity {numbers.perplexity(alive[0].result.pruned.perplexity)}." if alive else "") + dead
    best, worst = alive[0], alive[-1]
    low, high = best.result.pruned.perplexity, worst.result.pruned.perplexity
    if numbers.perplexity(low) == numbers.perplexity(high):
        return f"All end at perplexity {numbers.perplexity(low)}, {_beside(low, dense)}.{dead}"
    uneven = " At unequal sparsity this alone says little." if _sparsities(runs) else ""
    least, most = ("lower", "ends at") if len(runs) == 2 else ("lowest", "the highest,")
    return (f"{best.label} has the {least} perplexity, {numbers.perplexity(low)}, {_beside(low, dense)}; {worst.label} "
            f"{'' if len(runs) == 2 else 'has '}{most} {numbers.perplexity(high)}, {_beside(high, dense, short=True)}.{dead}{uneven}")


def _beside(value: float, dense: float, *, short: bool = False) -> str:
    change = value - dense
    model = "" if short else f" the dense model's {numbers.perplexity(dense)}"
    if abs(change) < 0.005:
        return "like the dense model"
    return f"{numbers.perplexity(abs(change))} {'above' if change > 0 else 'below'}{model}"


def _change(run: Compared) -> str:
    dense, pruned = run.result.dense.perplexity, run.result.pruned.perplexity
    if not (math.isfinite(dense) and math.isfinite(pruned)):
        return "predicts nothing any more"
    return f"{'+' if pruned >= dense else '−'}{numbers.percent(abs(pruned / dense - 1))}"


def _errors(runs: Sequence[Compared]) -> str:
    """In how many layers the best run has the least error, and whether the masks explain it."""
    names = common_layers(runs)
    if not names or not same_calibration(runs):
        return ""
    wins = Counter[int]()
    for name in names:
        found = [run.layers[name].relative_error for run in runs]
        if found.count(min(found)) == 1:
            wins[found.index(min(found))] += 1
    if not wins:
        return "Their layer errors are the same."
    winner, times = wins.most_common(1)[0]
    best = runs[winner]
    if len(runs) > 2:
        return f"{best.label} has the least error in {times} of {numbers.plural(len(names), 'layer')}."
    other = runs[1 - winner]
    first = f"{best.label} has the lower error in {times} of {numbers.plural(len(names), 'layer')}"
    reached = _log_ratio(best, other, names, "relative_error")
    if reached is None or abs(reached) < _SAME:
        return f"{first}; in the median they are alike."
    return f"{first}, {_percent(reached)} in the median.{_masks(reached, _log_ratio(best, other, names, 'optimum_error'))}"


def _masks(reached: float, possible: float | None) -> str:
    """Difference that would remain if both had the best possible weights for their masks."""
    if possible is None or reached > 0:
        return ""
    if abs(possible) < _SAME:
        return " With the best weights for each mask they would be alike: nothing of the difference would stay."
    share = possible / reached
    why = ("its mask is worse, and its weights compensate for that" if share < 0 else "little of it would remain" if share < 0.25
           else "most of the difference is in the masks" if share > 0.75 else "the masks are a part of the difference")
    return f" With the best weights for each mask its error would be {_percent(possible)}: {why}."


def _percent(log_ratio: float) -> str:
    return f"{numbers.percent(abs(math.expm1(log_ratio)))} {'lower' if log_ratio < 0 else 'higher'}"


def _log_ratio(best: Compared, other: Compared, names: Sequence[str], field: str) -> float | None:
    """The median over layers of the logarithm of the ratio; None where too many are zero to speak of one."""
    pairs = [(getattr(best.layers[name], field), getattr(other.layers[name], field)) for name in names]
    ratios = [math.log(mine / theirs) for mine, theirs in pairs if mine > 0 and theirs > 0 and math.isfinite(mine / theirs)]
    return statistics.median(ratios) if len(ratios) > len(names) / 2 else None


def _protocol(evaluated: Evaluated) -> dict[str, str]:
    return {name: str(getattr(evaluated, name))[:12 if name == "text_sha256" else None] for name in _FACTS}


def _each(runs: Sequence[Compared], values: Sequence[str]) -> str:
    """`A (1), B (2)`; `1 (A and B), 2 (C)` where several share a value."""
    if len(set(values)) == len(values):
        return ", ".join(f"{run.label} ({value})" for run, value in zip(runs, values, strict=True))
    return ", ".join(f"{value} ({_and([run.label for run, own in zip(runs, values, strict=True) if own == value])})"
                     for value in dict.fromkeys(values))


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
