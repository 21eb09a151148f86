"""Paired differences of perplexities: two evaluations on the same windows, with the standard error over windows. No torch.

    d_i = loss of the other model − loss of the reference in window i [nats a token]
    ln(perplexity ratio) = mean of d_i          standard error = √(Σ(d_i − d̄)²/(n−1)) / √n

Windows vary far more among themselves than the difference does, and pairing takes that out: on the demo model the perplexity of 64
windows has a standard error of 3.7 %, its change by Frontier one of 0.15 % at 50 %, 0.27 % at 2:4 and 0.62 % at 30 % of the columns.
Windows are taken as independent.
Over seeds of the calibration, d_i is the mean over the seeds and their own variance is added, s²/k of k seeds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from core.records.runs import Evaluated
from core.spec.base import FrozenModel

TIE = 2.0  # standard errors: what lies within is called a tie


class Difference(FrozenModel):
    """Logarithm of a ratio of two perplexities, other over reference, and its standard error.

    `noise` is None where there is one window only, or an evaluation whose windows' losses were not kept.
    """

    nats: float
    noise: float | None = None
    windows: int
    seeds: int = 1

    @property
    def ratio(self) -> float:
        return math.exp(self.nats)

    @property
    def percent(self) -> float:
        """By how much the other is higher, negative: lower."""
        return 100 * math.expm1(self.nats)

    @property
    def noise_percent(self) -> float | None:
        """One standard error, in percent of the reference."""
        return None if self.noise is None else 100 * self.noise * self.ratio

    @property
    def tied(self) -> bool:
        """True where the difference is within two standard errors; False too where these are not known."""
        return self.noise is not None and not self.beyond(TIE)

    def beyond(self, errors: float) -> bool:
        """True where the difference is known to more than so many standard errors."""
        return self.noise is not None and abs(self.nats) > errors * self.noise

    @property
    def text(self) -> str:
        """`+2.6 % ± 0.3 %`: the difference and one standard error."""
        own = f"{self.percent:+.{_digits(self.percent)}f} %".replace("-", "−")
        if self.noise_percent is None:
            return own
        return f"{own} ± {self.noise_percent:.{_digits(self.noise_percent)}f} %"

    @property
    def verdict(self) -> str:
        """`+2.6 % ± 0.3 %`, or `tie (+0.2 % ± 0.3 %)`."""
        return f"tie ({self.text})" if self.tied else self.text


def same_windows(one: Evaluated, other: Evaluated) -> bool:
    """True where both were measured on the same windows of the same text, so that they can be compared."""
    return (one.text_sha256, one.windows, one.length, one.tokens) == (other.text_sha256, other.windows, other.length, other.tokens)


def compare(reference: Evaluated, other: Evaluated) -> Difference | None:
    """The difference of two evaluations by one tokenizer; None where their windows differ or a perplexity is no number."""
    return compare_seeds([(reference, other)])


def compare_seeds(pairs: Sequence[tuple[Evaluated, Evaluated]]) -> Difference | None:
    """The mean difference of (reference, other) pairs, one a seed, all on the same windows. None as for `compare`, or without a pair."""
    known = [one.perplexity for pair in pairs for one in pair]
    if not pairs or not all(same_windows(pairs[0][0], one) for pair in pairs for one in pair):
        return None
    if not all(0 < value < math.inf for value in known):
        return None
    by_seed = [math.log(other.perplexity / reference.perplexity) for reference, other in pairs]
    return Difference(nats=statistics.fmean(by_seed), noise=_standard_error(pairs, by_seed), windows=pairs[0][0].windows, seeds=len(pairs))


def _standard_error(pairs: Sequence[tuple[Evaluated, Evaluated]], by_seed: Sequence[float]) -> float | None:
    losses = [(reference.losses, other.losses) for reference, other in pairs]
    paired = [[theirs - own for own, theirs in zip(a, b, strict=True)] for a, b in losses if a is not None and b is not None]
    if len(paired) < len(pairs) or len(paired[0]) < 2:
        return None
    windows = [statistics.fmean(column) for column in zip(*paired, strict=True)]
    between_seeds = statistics.variance(by_seed) / len(by_seed) if len(by_seed) > 1 else 0.0
    return math.sqrt(statistics.variance(windows) / len(windows) + between_seeds)


def _digits(value: float) -> int:
    """Decimals that show two digits of a value below 10, none above 100."""
    size = abs(value)
    return 0 if size >= 100 else 1 if size >= 1 or size == 0 else min(4, 1 - math.floor(math.log10(size)))
