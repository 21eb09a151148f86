"""Effect of α layer by layer: the error with the strongest rows dense beside none and as many random ones, at equal counted sparsity.

The questions, their answers as records, the map and the sentences of it. No torch, no Streamlit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan
from statistics import fmean, median
from typing import Literal

import plotly.graph_objects as go

from app.outliers.layer_map import Cell, layer_map
from app.shared import alpha_sweep, numbers
from app.shared.questions.outliers import LayerPointQuestion
from app.shared.style import INKS, Theme, around_zero
from core.records.outlier_rows import EnergyShare, LayerPoint
from core.spec import RunSpec

Verdict = Literal["pays", "costs", "tie"]
TIE = 0.01  # of the error without outlier rows: a smaller change is none to speak of


@dataclass(frozen=True, kw_only=True)
class Gain:
    """A layer's relative errors, one a calibration seed: with no row dense, with the strongest, and with random rows, once a draw."""

    name: str
    block: int
    module: str
    counted_sparsity: float
    without: tuple[float, ...]
    strongest: tuple[float, ...]
    random: tuple[tuple[float, ...], ...]

    @property
    def changes(self) -> tuple[float, ...]:
        """Relative change of the error by keeping the strongest rows, one a seed."""
        return tuple(kept / none - 1 if none else 0.0 for kept, none in zip(self.strongest, self.without, strict=True))

    @property
    def random_changes(self) -> tuple[float, ...]:
        """The same by random rows, one a seed and draw."""
        return tuple(value / none - 1 if none else 0.0 for values, none in zip(self.random, self.without, strict=True) for value in values)

    @property
    def verdict(self) -> Verdict:
        """Of all seeds alike; else a tie."""
        return "pays" if max(self.changes) < -TIE else "costs" if min(self.changes) > TIE else "tie"

    @property
    def beyond_random(self) -> bool:
        """True if every draw of random rows leaves a greater error, at each seed."""
        return all(kept < min(values, default=kept) for kept, values in zip(self.strongest, self.random, strict=True))


def questions(spec: RunSpec, shares: Sequence[EnergyShare], alpha: float, seeds: Iterable[int]) -> tuple[LayerPointQuestion, ...]:
    """Of each layer without outlier rows and with α, at equal counted sparsity. Raises ValidationError where the pattern has no such α."""
    equal = None if spec.pattern.budget is None else "iso"
    return tuple(LayerPointQuestion(spec=alpha_sweep.at(spec, at, equal, seed), layer=item.name, draws=alpha_sweep.LAYER_DRAWS)
                 for seed in seeds for item in shares for at in (0.0, alpha))


def gains(shares: Sequence[EnergyShare], answers: Iterable[tuple[LayerPointQuestion, LayerPoint]]) -> tuple[Gain, ...]:
    """The layers of which all points are there, in their order."""
    points: dict[str, dict[int, dict[bool, LayerPoint]]] = {}
    for question, point in answers:
        points.setdefault(question.layer, {}).setdefault(question.spec.calibration.seed, {})[bool(point.alpha)] = point
    found: list[Gain] = []
    for item in shares:
        pairs = [pair for _, pair in sorted(points.get(item.name, {}).items()) if len(pair) == 2]
        if pairs:
            found.append(Gain(
                name=item.name, block=item.block, module=item.module, counted_sparsity=fmean(pair[True].counted_sparsity for pair in pairs),
                without=tuple(pair[False].error for pair in pairs), strongest=tuple(pair[True].error for pair in pairs),
                random=tuple(pair[True].random for pair in pairs)))
    return tuple(found)


def finding(found: Sequence[Gain], alpha: float) -> str:
    """Numbers of layers in which α pays, costs or ties, and in which random rows do as well."""
    if not found:
        return ""
    count = Counter(gain.verdict for gain in found)
    paying = [gain for gain in found if gain.verdict == "pays"]
    middle = median(fmean(gain.changes) for gain in found)
    text = (f"At α = {numbers.setting(alpha, 3)} and equal counted sparsity, keeping the strongest rows lowers the error in "
            f"{count['pays']} of {numbers.plural(len(found), 'layer')}, raises it in {count['costs']}, and changes it by less than "
            f"{numbers.percent(TIE)} in {count['tie']} (median {numbers.change(middle, numbers.fine_percent)}).")
    also = sum(not gain.beyond_random for gain in paying)
    if paying:
        best = min(paying, key=lambda gain: fmean(gain.changes))
        text += (f" Most: {numbers.change(fmean(best.changes), numbers.fine_percent)} in block {best.block}, "
                 f"{best.module.rpartition('.')[2]}. {_also(also, len(paying))}")
    lower = sum(bool(gain.random_changes) and max(gain.random_changes) < -TIE for gain in found)
    return f"{text} All draws of as many random rows lower it in {numbers.plural(lower, 'layer') if lower else 'no layer'}."


def _also(also: int, paying: int) -> str:
    if not also:
        return "There, every draw of random rows does worse."
    return f"In {also} of these {paying} some draw of random rows does as well, so that it is not the energy that pays."


def gain_map(shares: Sequence[EnergyShare], found: Sequence[Gain], chosen: str, *, theme: Theme = "light", height: int = 260) -> go.Figure:
    """Blue where the strongest rows lower the error, red where they raise it; `=`: a tie, `*`: a draw of random rows does as well. Layers
    that are to come stay empty."""
    most = 100 * max((abs(fmean(gain.changes)) for gain in found), default=0.0) or 1.0
    known = {gain.name: gain for gain in found}

    def cell(item: EnergyShare) -> Cell:
        gain = known.get(item.name)
        value, text, hover = (nan, "", "not computed yet") if gain is None else (-100 * fmean(gain.changes), _cell(gain), _hover(gain))
        return Cell(name=item.name, block=item.block, module=item.module, value=value, text=text, ink=INKS[theme].text, hover=hover)

    return layer_map([cell(item) for item in shares], chosen, colors=around_zero(theme), low=-2 * most, high=2 * most,
                     theme=theme, height=height, scale=False)


def _cell(gain: Gain) -> str:
    if gain.verdict == "tie":
        return "="
    star = "*" if gain.verdict == "pays" and not gain.beyond_random else ""
    return f"{100 * fmean(gain.changes):+.0f}{star}".replace("-", "−")


def _hover(gain: Gain) -> str:
    values = [value for values in gain.random for value in values]
    random = f"{numbers.error(min(values))} to {numbers.error(max(values))} in {len(values)} draws" if values else "no draws"
    return (f"no row dense: error {numbers.error(fmean(gain.without))}<br>strongest rows: {numbers.error(fmean(gain.strongest))}, "
            f"{numbers.change(fmean(gain.changes), numbers.fine_percent)}<br>random rows: {random}<br>"
            f"counted sparsity {numbers.percent(gain.counted_sparsity)}")


def gain_rows(found: Sequence[Gain]) -> list[dict[str, object]]:
    """The map, for a file to take away."""
    return [{"layer": gain.name, "block": gain.block, "module": gain.module, "counted_sparsity": gain.counted_sparsity,
             "error_without": fmean(gain.without), "error_strongest": fmean(gain.strongest),
             "error_random_mean": fmean(value for values in gain.random for value in values),
             "seeds": len(gain.without), "verdict": gain.verdict, "beyond_random": gain.beyond_random} for gain in found]
