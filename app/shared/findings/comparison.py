"""Findings of a comparison, and its cautions: sentences computed from the runs."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence

from app.shared import numbers
from app.shared.comparison import Compared, common_layers
from app.shared.findings import wording
from app.shared.findings.cautions import same_calibration, same_evaluation, unequal_sparsities
from core.evaluate.comparison import compare

_SAME = 0.02  # errors within 2 % in the median are alike


def verdict(runs: Sequence[Compared]) -> str:
    """Run with the lower perplexity and the lower layer errors, by how much, and whether masks or weights make the difference."""
    if len(runs) == 1:
        return wording.finding(runs[0].result)
    return " ".join(filter(None, (_perplexity(runs), _errors(runs))))


def _perplexity(runs: Sequence[Compared]) -> str:
    if not same_evaluation(runs):
        told = [f"{run.label} {_change(run)}" for run in runs]
        return f"Perplexity against each run's own dense model: {wording.listed(told)}."
    dense = runs[0].result.dense.perplexity
    alive = sorted((run for run in runs if math.isfinite(run.result.pruned.perplexity)), key=lambda run: run.result.pruned.perplexity)
    broken = [run.label for run in runs if run not in alive]
    dead = f" {wording.listed(broken)} {'predicts' if len(broken) == 1 else 'predict'} nothing any more." if broken else ""
    if len(alive) < 2:
        return (f"{alive[0].label} ends at perplexity {numbers.perplexity(alive[0].result.pruned.perplexity)}." if alive else "") + dead
    best, worst = alive[0], alive[-1]
    low, high = best.result.pruned.perplexity, worst.result.pruned.perplexity
    tie = tied_within_noise(best, worst)
    if tie:
        return f"{tie}{dead}"
    if numbers.perplexity(low) == numbers.perplexity(high):
        return f"All end at perplexity {numbers.perplexity(low)}, {_beside(low, dense)}.{dead}"
    uneven = " At unequal sparsity this alone says little." if unequal_sparsities(runs) else ""
    least, most = ("lower", "ends at") if len(runs) == 2 else ("lowest", "the highest,")
    apart = compare(best.result.pruned, worst.result.pruned)
    noise = f", a difference of {apart.text}" if apart is not None and apart.noise is not None else ""
    level = [run.label for run in alive[1:] if (found := compare(best.result.pruned, run.result.pruned)) and found.tied]
    ties = f" Within two standard errors of it: {wording.listed(level)}." if level else ""
    return (f"{best.label} has the {least} perplexity, {numbers.perplexity(low)}, {_beside(low, dense)}; {worst.label} "
            f"{'' if len(runs) == 2 else 'has '}{most} {numbers.perplexity(high)}, {_beside(high, dense, short=True)}{noise}."
            f"{ties}{dead}{uneven}")


def tied_within_noise(best: Compared, worst: Compared) -> str:
    """That the runs are a tie, with the paired difference; "" where they are not, or the windows' losses were not kept."""
    apart = compare(best.result.pruned, worst.result.pruned)
    if apart is None or not apart.tied:
        return ""
    ends = f"{numbers.perplexity(best.result.pruned.perplexity)} and {numbers.perplexity(worst.result.pruned.perplexity)}"
    return (f"The perplexities are a tie: {best.label} and {worst.label} end at {ends}, a difference of {apart.text} "
            f"over {numbers.plural(apart.windows, 'window')}, within two standard errors.")


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
    change = compare(run.result.dense, run.result.pruned)
    return change.verdict if change is not None and change.noise is not None else numbers.change(pruned / dense - 1)


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
    ratios = [math.log(mine / theirs) for mine, theirs in pairs if mine and theirs and mine > 0 and theirs > 0
              and math.isfinite(mine / theirs)]
    return statistics.median(ratios) if len(ratios) > len(names) / 2 else None
