"""Findings on outlier rows. Pure functions of records; the sign of every claim is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from app.shared import numbers
from app.shared.alpha_sweep import Kept, Reading, Spot, curve
from core.records.outlier_rows import EnergyShare, LayerRows

_NOTHING = 5e-4  # a change by less than 0.05 % is none to speak of


def layer_name(block: int, module: str) -> str:
    """`block 3, q_proj`."""
    return f"block {block}, {module.rpartition('.')[2]}"


def map_finding(shares: Sequence[EnergyShare], alpha: float) -> str:
    """Over all layers: where the energy is gathered most, and least."""
    most, least = (choose(shares, key=lambda item: item.share) for choose in (max, min))
    return (f"The strongest {share_word(alpha)} of the rows hold from {numbers.percent(least.share)} of a layer's energy "
            f"({layer_name(least.block, least.module)}) to {numbers.percent(most.share)} ({layer_name(most.block, most.module)}).")


def share_word(alpha: float) -> str:
    """`10 %`, `33.3 %`: α as a person wrote it, or nearly."""
    return f"{100 * alpha:.3g} %"


def layer_finding(view: LayerRows, name: str) -> str:
    """One layer: what its kept rows hold, and what as many rows would among equals."""
    rows, count = view.shape[0], len(view.dense_rows)
    if count == rows:
        return f"In {name}, all {numbers.plural(rows, 'row')} stay dense: nothing of it is pruned."
    if not count:
        top = min(rows, max(1, round(0.1 * rows)))
        held = float(view.cumulative[min(top, len(view.cumulative)) - 1])
        return (f"In {name}, no row stays dense while α is 0; {_rows(top)} of {numbers.count(rows)} hold {numbers.percent(held)} "
                f"of the energy, {numbers.times(held * rows / top)} an equal share.")
    return (f"In {name}, {_rows(count)} of {numbers.count(rows)} {'stays' if count == 1 else 'stay'} dense, with "
            f"{numbers.percent(view.held)} of the energy: {numbers.times(view.held * rows / count)} an equal share.")


def column_finding(view: LayerRows) -> str:
    """Columns that go, and how many of them only because rows are kept, or not."""
    fates = view.columns
    if fates is None:
        return ""
    gone, without = int(fates.gone.sum()), int(fates.gone_without.sum())
    words = f"{numbers.count(gone)} of {numbers.plural(len(fates.gone), 'column')} go from the rows that are pruned"
    if not view.dense_rows:
        return f"{words}. Without outlier rows every row has a say in which."
    return (f"{words}; without outlier rows it would be {numbers.count(without)}. {numbers.plural(fates.spared, 'column')} "
            f"that would go without them {'stays' if fates.spared == 1 else 'stay'}, and {numbers.count(gone - without + fates.spared)} "
            f"go that would stay.")


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


def _rows(count: int) -> str:
    return "the strongest row" if count == 1 else f"the {numbers.count(count)} strongest rows"
