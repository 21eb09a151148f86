"""Findings of a set of curves, in sentences computed from the points. Differences within their noise are ties."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from app.shared import numbers
from app.shared.charts.shapes import Over
from app.shared.findings.shapes import shape_finding
from app.shared.findings.wording import describe_pattern
from app.shared.sweeps.series import Measure, Series, Spot, counted, falls, median_error, pareto, perplexity
from core.evaluate.comparison import Difference, compare_seeds
from core.records import Evaluated
from core.spec import METHOD_LABELS
from core.spec.patterns import Pattern

BEARABLE = 1.1  # times the dense perplexity: what "how far" is answered for
_SAME = 0.0005  # relative difference that no table would print


def view_finding(tab: str, series: Sequence[Series], dense: Evaluated, over: Over = "parameters") -> str:
    """Finding of a view of the page."""
    match tab:
        case "shapes":
            return shape_finding(series, dense, over)
        case "sparsity":
            return sparsity_finding(series, dense)
        case "blocks":
            return block_finding(series)
        case "alpha":
            return alpha_finding(series)
        case _:
            return time_finding(series)


def sparsity_finding(series: Sequence[Series], dense: Evaluated) -> str:
    """Method with the lowest perplexity at the largest common sparsity, the difference, and the sparsity each reaches at a given price."""
    if not series:
        return ""
    return " ".join(filter(None, (_lowest(series), _reach(series, dense))))


def block_finding(series: Sequence[Series]) -> str:
    """For each method, its best block size and what the choice of B matters."""
    return " ".join(_span(one, lambda spot: f"B = {numbers.setting(spot.x)}") for one in series if len(one.spots) > 1)


def alpha_finding(series: Sequence[Series]) -> str:
    """The best α where sparsity is kept. Where it falls with α, a lower perplexity says nothing about α: that is said instead."""
    shares = {one.label: [spot.value(counted) for spot in one.spots] for one in series if len(one.spots) > 1}
    falling = [one for one in series if falls(one)]
    said = [_span(one, lambda spot: f"α = {numbers.setting(spot.x)}") for one in series if one.label in shares and one not in falling]
    if falling:
        first = shares[falling[0].label]
        which = f"With {falling[0].budget} counted" if falling[0].budget else "Counted"
        said.append(f"{which} sparsity goes from {numbers.percent(first[0])} to {numbers.percent(first[-1])}: "
                    "a lower perplexity there says nothing about α.")
    return " ".join(said)


def time_finding(series: Sequence[Series]) -> str:
    """Perplexity against time, and the largest memory of the runs."""
    return " ".join(filter(None, (_front_finding(series), _memory_finding(series))))


def _memory_finding(series: Sequence[Series]) -> str:
    """The least and the greatest peak memory of a method's runs."""
    peaks = sorted((max(point.peak_memory_bytes for spot in one.spots for point in spot.points), one.label) for one in series)
    if len(peaks) < 2:
        return ""
    (least, lean), (most, hungry) = peaks[0], peaks[-1]
    if numbers.size(least) == numbers.size(most):
        return f"Peak memory: {numbers.size(most)} with every method."
    return f"Peak memory goes from {numbers.size(least)} ({lean}) to {numbers.size(most)} ({hungry})."


def _front_finding(series: Sequence[Series]) -> str:
    """Methods that no other beats in both time and perplexity, and the extra cost of the best over the fastest of these."""
    front = pareto([spot for one in series for spot in one.spots], perplexity)
    if len(series) < 2 or not front:
        return ""
    names = [METHOD_LABELS[spot.points[0].spec.method.name] for spot in front]
    quick, best = front[0], front[-1]
    if quick is best:
        return f"{names[0]} is both the fastest to solve ({numbers.seconds(quick.x)}) and the lowest in perplexity."
    if len(front) == sum(len(one.spots) for one in series):
        return (f"Perplexity falls with more time all the way, from {names[0]} ({numbers.seconds(quick.x)}, {_worth(quick)}) to "
                f"{names[-1]} ({numbers.seconds(best.x)}, {_worth(best)}): {numbers.times(best.x / quick.x)} the time.")
    errors = pareto([spot for one in series for spot in one.spots], median_error)
    same = [spot.points for spot in errors] == [spot.points for spot in front]
    return (f"{_list(names)}: no other run is both faster and lower in perplexity. {names[-1]} takes "
            f"{numbers.times(best.x / quick.x)} the time of {names[0]} for a perplexity of {_worth(best)} instead of {_worth(quick)}. "
            + ("By layer error it is the same list." if same else
               f"By layer error the list is {_list([METHOD_LABELS[spot.points[0].spec.method.name] for spot in errors])}."))


def tied(one: Spot, other: Spot, measure: Measure = perplexity) -> bool:
    """True if the difference is within its noise: two standard errors over the windows and seeds that both have, or the spread of the
    seeds where losses of windows were not kept; or if it is less than the last printed digit."""
    (low, high), (low2, high2) = one.range(measure), other.range(measure)
    a, b = one.value(measure), other.value(measure)
    if not (math.isfinite(a) and math.isfinite(b)):
        return a == b
    if abs(a - b) <= _SAME * max(a, b):
        return True
    paired = difference(one, other) if measure is perplexity else None
    if paired is not None and paired.noise is not None:
        return paired.tied
    return low <= high2 and low2 <= high


def difference(one: Spot, other: Spot) -> Difference | None:
    """Of the perplexities, other over one: paired over windows, and over the seeds that both have."""
    seeds = {point.spec.calibration.seed: point for point in other.points}
    return compare_seeds([(point.pruned, seeds[seed].pruned) for point in one.points if (seed := point.spec.calibration.seed) in seeds])


def _lowest(series: Sequence[Series]) -> str:
    """At the largest sparsity that all series have."""
    there = [{spot.points[0].spec.pattern: spot for spot in one.spots} for one in series]
    common = [pattern for pattern in there[0] if all(pattern in spots for spots in there)]
    if len(series) < 2 or not common:
        return "" if len(series) < 2 else "There is no sparsity yet at which all of them were computed."
    pattern = max(common, key=lambda pattern: (there[0][pattern].value(counted), -(pattern.group or 0)))
    ranked = sorted(((spots[pattern], METHOD_LABELS[one.method]) for spots, one in zip(there, series, strict=True)),
                    key=lambda entry: entry[0].value(perplexity))
    first, name = ranked[0]
    level = [label for spot, label in ranked[1:] if tied(first, spot)]
    where = f"At {_at(pattern, first)}, the most that {_all(len(series))} have,"
    seeds = min(len(spot.points) for spot, _ in ranked)
    given = " (one seed each)" if seeds == 1 else ""
    if level:
        behind = ranked[1 + len(level)][1] if len(ranked) > 1 + len(level) else None
        rest = f", ahead of {behind}" if behind else ""
        return f"{where} {_list([name, *level])} tie within the noise at {_worth(first)}{rest}{given}."
    second, follower = ranked[1]
    value = first.value(perplexity) / second.value(perplexity)
    margin = f"{numbers.percent(1 - value)} below" if value > 0.5 else f"{numbers.times(1 / value)} lower than"
    return f"{where} {name} is lowest: perplexity {_worth(first)}, {margin} {follower} ({_worth(second)}{_noise(first, second)}){given}."


def _noise(first: Spot, second: Spot) -> str:
    """`; difference +4.2 % ± 0.5 %`, where losses of windows were kept."""
    found = difference(first, second)
    return f"; difference {found.text}" if found is not None and found.noise is not None else ""


def _reach(series: Sequence[Series], dense: Evaluated) -> str:
    """The largest computed sparsity at which each stays within a tenth of the dense perplexity; where no larger one was computed, so."""
    limit, price = BEARABLE * dense.perplexity, f"{100 * (BEARABLE - 1):.0f} %"
    ends: dict[str, list[str]] = {}  # by where that is
    everywhere: dict[str, list[str]] = {}
    nowhere: list[str] = []
    for one in sorted(series, key=lambda one: -_farthest(one, limit)):
        reach, last = _farthest(one, limit), max(spot.value(counted) for spot in one.spots)
        share = numbers.percent(reach)
        whole = f"at every computed sparsity (to {share})" if len(one.spots) > 1 else f"at {share}, all that was computed"
        where = nowhere if reach == 0 else everywhere.setdefault(whole, []) if reach == last else ends.setdefault(f"up to {share}", [])
        where.append(METHOD_LABELS[one.method])
    told = [f"{_list(names)} {where}" for where, names in (*everywhere.items(), *ends.items())]
    if not told:
        return f"No computed point stays within {price} of the dense perplexity."
    return (f"Largest sparsity within {price} of the dense perplexity: {', '.join(told)}"
            + (f"; {_list(nowhere)}: none." if nowhere else "."))


def _farthest(series: Series, limit: float) -> float:
    return max((spot.value(counted) for spot in series.spots if spot.value(perplexity) <= limit), default=0.0)


def _span(series: Series, name: Callable[[Spot], str]) -> str:
    """Lowest and highest points of a series."""
    ranked = sorted(series.spots, key=lambda spot: spot.value(perplexity))
    best, worst = ranked[0], ranked[-1]
    if tied(best, worst):
        least, most = _worth(best), _worth(worst)
        return f"{series.label}: {least} throughout." if least == most else f"{series.label}: {least} to {most}, all within the noise."
    level = [name(spot) for spot in ranked[1:] if tied(best, spot)]
    tie = f"; {_list(level)} within the noise" if level else ""
    return f"{series.label} is lowest at {name(best)} ({_worth(best)}{tie}), highest at {name(worst)} ({_worth(worst)})."


def _at(pattern: Pattern, spot: Spot) -> str:
    share = numbers.percent(spot.value(counted))
    return f"{describe_pattern(pattern)} ({share} counted)" if pattern.group is not None else f"{share} counted sparsity"


def _all(count: int) -> str:
    words = {2: "both", 3: "all three", 4: "all four", 5: "all five", 6: "all six"}
    return words.get(count, f"all {count}")


def _worth(spot: Spot) -> str:
    return numbers.perplexity(spot.value(perplexity))


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
