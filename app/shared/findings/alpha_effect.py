"""The effect of keeping outlier rows, in sentences. Pure functions of readings; the sign of every claim is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from app.shared import numbers
from app.shared.alpha_sweep import Kept, Reading, Spot, claim, curve, difference, equal_sparsity
from core.evaluate.comparison import Difference

_NOTHING = 5e-4  # a change by less than 0.05 % is none to speak of


def effect_finding(readings: Sequence[Reading], alpha: float, what: str, show: Callable[[float], str], *, whole: bool = True,
                   runs: bool = False) -> str:
    """Effect of keeping rows on `what` ("this layer's error"), beside random rows, at α; of α = 0, at the best other α of the sweep.

    `whole`: no point of the sweep is to come. `runs`: the readings are those of finished runs, not a preview's. Says whether it helps only
    where counted sparsity is equal, and of perplexities only where the sign is known to two standard errors over the windows; "" while
    there is nothing to compare.
    """
    found = claim(readings, alpha)
    if found is None:
        return ""
    kept, at = found
    spots = {spot.alpha: spot for spot in curve(readings, kept)}
    change = next(spot for spot in curve(readings, kept, change=True) if spot.alpha == at)
    start, spot, effect = spots[0.0], spots[at], difference(readings, kept, at)
    best = f", the best α above 0{'' if whole else ' so far'}," if kept == "chosen" or not alpha else ","
    where = f"{'Finished runs: at' if runs else 'At'} α = {numbers.setting(at, 3)}" + ("" if at == alpha else best)
    alike = equal_sparsity(readings, kept)
    equal = "" if kept == "chosen" or not alike else f" and equal counted sparsity ({numbers.percent(spot.counted_sparsity)})"
    values = f"{show(start.mean)} → {show(spot.mean)}"
    if effect is not None and effect.tied:
        text = (f"{where}{equal} the change of {what} cannot be told from {'these windows' if runs else 'a preview'}: {effect.text} on "
                f"{numbers.plural(effect.windows, 'window')} ({values}).{'' if runs else ' A run reads all windows.'}")
    else:
        text = f"{where}{equal} {what} {_move(change.mean, effect)}: {values}{_windows(effect)}."
    if not alike:
        fallen = f"{numbers.percent(start.counted_sparsity)} → {numbers.percent(spot.counted_sparsity)}"
        text += f" But fewer weights go: counted sparsity {fallen}."
    if effect is None or not effect.tied:
        text += _seeds(readings, kept, at) + _least(readings, kept, at, spots, show)
    return text + (_random(readings, at) if kept == "chosen" or runs else "")


def sparsity_warning(readings: Sequence[Reading], budget: str | None = "paper") -> str:
    """That counted sparsity moves along the curve of this α budget, with the numbers; "" where it does not."""
    spots = curve(readings, "chosen")
    if not spots or equal_sparsity(readings, "chosen"):
        return ""
    shares = [spot.counted_sparsity for spot in spots]
    why = ("The dotted line prunes the other rows harder and keeps the total." if budget == "paper" else
           "Dense rows, and zeros a row, come in whole numbers, of which this layer has few.")
    return (f"On the full line counted sparsity falls from {numbers.percent(max(shares))} to {numbers.percent(min(shares))}, so part of "
            f"what it gains is only that less is pruned. {why}")


def _seeds(readings: Sequence[Reading], kept: Kept, alpha: float) -> str:
    base = {reading.seed: reading.value for reading in readings if not reading.alpha}
    pairs = [(reading.value, base[reading.seed]) for reading in readings
             if reading.kept == kept and reading.alpha == alpha and reading.seed in base]
    if len(pairs) < 2:
        return ""
    return f" Lower in {sum(value < start for value, start in pairs)} of {len(pairs)} calibration seeds."


def _least(readings: Sequence[Reading], kept: Kept, at: float, spots: Mapping[float, Spot], show: Callable[[float], str]) -> str:
    """Position of the curve's minimum, if that is elsewhere, there is a curve, and the two can be told apart."""
    changes = curve(readings, kept, change=True)
    best = min(changes, key=lambda spot: spot.mean)
    if len(changes) < 3 or best.alpha == at:
        return ""
    apart = difference(readings, kept, at, best.alpha) if best.alpha else difference(readings, kept, at)
    if apart is not None and apart.tied:
        return ""
    return f" It is least at α = {numbers.setting(best.alpha, 3)}" + (f" ({show(spots[best.alpha].mean)})." if best.alpha else ".")


def _random(readings: Sequence[Reading], at: float) -> str:
    """The effect of as many random rows; "" where none were drawn."""
    drawn = [spot for spot in curve(readings, "random", change=True) if spot.alpha == at]
    if not drawn:
        return ""
    effect = difference(readings, "random", at)
    if effect is not None and effect.tied:
        return f" With as many random rows the change cannot be told: {effect.text}."
    spread = "" if effect is not None and effect.noise is not None else _spread(drawn[0].low, drawn[0].high)
    return f" With as many random rows it {_move(drawn[0].mean, effect)}{spread}."


def _move(change: float, effect: Difference | None = None) -> str:
    if effect is not None and effect.noise is not None:
        return f"{'falls' if effect.nats < 0 else 'rises'} by {effect.text.lstrip('+−')}"
    if abs(change) < _NOTHING:
        return "does not change to speak of"
    return f"{'falls' if change < 0 else 'rises'} by {numbers.percent(abs(change))}"


def _windows(effect: Difference | None) -> str:
    return "" if effect is None or effect.noise is None else f" ({numbers.plural(effect.windows, 'window')})"


def _spread(low: float, high: float) -> str:
    return "" if low == high else f" (draws: {_signed(low)} to {_signed(high)})"


def _signed(change: float) -> str:
    return f"{'−' if change < 0 else '+'}{numbers.percent(abs(change))}"
