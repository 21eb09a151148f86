"""The effect of keeping outlier rows, in sentences. Pure functions of readings; the sign of every claim is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from app.shared import numbers
from app.shared.alpha_sweep import Kept, Reading, Spot, curve

_NOTHING = 5e-4  # a change by less than 0.05 % is none to speak of


def effect_finding(readings: Sequence[Reading], alpha: float, what: str, show: Callable[[float], str], *, whole: bool = True) -> str:
    """Effect of keeping rows on `what` ("this layer's error"), beside random rows, at α; of α = 0, at the best other α of the sweep.

    `whole`: no point of the sweep is to come. Says whether it helps only where counted sparsity is equal; "" while there is
    nothing to compare.
    """
    kept: Kept = "chosen"
    if not _equal(readings, "chosen") and len(curve(readings, "other")) > 1:
        kept = "other"
    spots = {spot.alpha: spot for spot in curve(readings, kept) if spot.alpha}
    changes = {spot.alpha: spot for spot in curve(readings, kept, change=True) if spot.alpha}
    start = curve(readings, kept)[:1]
    if not changes or not start or start[0].alpha:
        return ""
    at = alpha if alpha in changes else min(changes, key=lambda one: changes[one].mean)
    spot, change = spots[at], changes[at]
    best = f", the best α above 0{'' if whole else ' so far'}," if kept == "chosen" or not alpha else ","
    where = f"At α = {at:.3g}" + ("" if at == alpha else best)
    equal = "" if kept == "chosen" else f" and equal counted sparsity ({numbers.percent(spot.counted_sparsity)})"
    text = f"{where}{equal} {what} {_move(change.mean)}: {show(start[0].mean)} → {show(spot.mean)}."
    if not _equal(readings, kept):
        fallen = f"{numbers.percent(start[0].counted_sparsity)} → {numbers.percent(spot.counted_sparsity)}"
        text += f" But fewer weights go: counted sparsity {fallen}."
    text += _seeds(readings, kept, at) + _least(curve(readings, kept, change=True), at, spots, show)
    drawn = [one for one in curve(readings, "random", change=True) if one.alpha == at] if kept == "chosen" else []
    if drawn:
        text += f" With as many random rows it {_move(drawn[0].mean)}{_spread(drawn[0].low, drawn[0].high)}."
    return text


def sparsity_warning(readings: Sequence[Reading]) -> str:
    """That counted sparsity moves along the curve, with the numbers; "" where it does not."""
    spots = curve(readings, "chosen")
    if not spots or _equal(readings, "chosen"):
        return ""
    shares = [spot.counted_sparsity for spot in spots]
    return (f"On the full line counted sparsity falls from {numbers.percent(max(shares))} to {numbers.percent(min(shares))}, so part of "
            "what it gains is only that less is pruned. The dotted line prunes the other rows harder and keeps the total.")


def _equal(readings: Sequence[Reading], kept: Kept) -> bool:
    shares = [spot.counted_sparsity for spot in curve(readings, kept)]
    return not shares or max(shares) - min(shares) < 0.005


def _seeds(readings: Sequence[Reading], kept: Kept, alpha: float) -> str:
    base = {reading.seed: reading.value for reading in readings if not reading.alpha}
    pairs = [(reading.value, base[reading.seed]) for reading in readings
             if reading.kept == kept and reading.alpha == alpha and reading.seed in base]
    if len(pairs) < 2:
        return ""
    return f" Lower in {sum(value < start for value, start in pairs)} of {len(pairs)} calibration seeds."


def _least(changes: Sequence[Spot], at: float, spots: Mapping[float, Spot], show: Callable[[float], str]) -> str:
    """Position of the curve's minimum, if that is elsewhere and there is a curve."""
    best = min(changes, key=lambda spot: spot.mean)
    if len(changes) < 3 or best.alpha == at:
        return ""
    return f" It is least at α = {best.alpha:.3g}" + (f" ({show(spots[best.alpha].mean)})." if best.alpha else ".")


def _move(change: float) -> str:
    if abs(change) < _NOTHING:
        return "does not change to speak of"
    return f"{'falls' if change < 0 else 'rises'} by {numbers.percent(abs(change))}"


def _spread(low: float, high: float) -> str:
    return "" if low == high else f" (draws: {_signed(low)} to {_signed(high)})"


def _signed(change: float) -> str:
    return f"{'−' if change < 0 else '+'}{numbers.percent(abs(change))}"
