"""Paired differences of perplexities against their definition, and against resampled windows."""

import math

import numpy as np
import pytest

from core.evaluate.comparison import Difference, compare, compare_seeds
from core.records import Evaluated


def evaluation(losses, **changes) -> Evaluated:
    return Evaluated.model_validate({"perplexity": math.exp(float(np.mean(losses))), "tokens": 511 * len(losses), "windows": len(losses),
                                     "length": 512, "text": "t", "text_sha256": "a", "dtype": "float32",
                                     "losses": tuple(float(loss) for loss in losses)} | changes)


def pair(windows=64, shift=0.01, spread=0.02, seed=0):
    """Windows that differ by 0.4 nats among themselves; the other model is `shift` worse, by `spread` from window to window."""
    rng = np.random.default_rng(seed)
    base = rng.normal(3.4, 0.4, windows)
    return evaluation(base), evaluation(base + rng.normal(shift, spread, windows))


def test_it_is_the_log_ratio_with_the_standard_error_of_paired_windows():
    one, other = pair()
    found = compare(one, other)
    change = np.asarray(other.losses) - np.asarray(one.losses)
    assert found.nats == pytest.approx(change.mean(), abs=1e-12)
    assert found.noise == pytest.approx(change.std(ddof=1) / 8, rel=1e-9)
    assert found.percent == pytest.approx(100 * (other.perplexity / one.perplexity - 1), rel=1e-9)
    assert found.noise < np.std(one.losses) / 8 / 10, "pairing takes the windows' own differences out"
    back = compare(other, one)
    assert (back.nats, back.noise) == (pytest.approx(-found.nats), pytest.approx(found.noise))


def test_the_standard_error_is_the_spread_of_texts_drawn_again():
    one, other = pair(windows=200)
    rng, drawn = np.random.default_rng(1), []
    for _ in range(2000):
        chosen = rng.integers(0, 200, 200)
        drawn.append(np.mean(np.asarray(other.losses)[chosen]) - np.mean(np.asarray(one.losses)[chosen]))
    assert compare(one, other).noise == pytest.approx(np.std(drawn), rel=0.1)


@pytest.mark.parametrize(("nats", "tied"), [(0.0, True), (0.0199, True), (-0.0199, True), (0.0201, False), (-0.0201, False)])
def test_a_tie_is_what_lies_within_two_standard_errors(nats, tied):
    assert Difference(nats=nats, noise=0.01, windows=64).tied is tied


def test_other_windows_are_not_compared_and_without_losses_the_noise_is_not_known():
    one, other = pair()
    assert compare(one, other.model_copy(update={"text_sha256": "b"})) is None
    assert compare(one, pair(windows=32)[1]) is None
    assert compare(one, other.model_copy(update={"perplexity": math.inf})) is None
    old = compare(one, other.model_copy(update={"losses": None}))
    assert old.nats == pytest.approx(compare(one, other).nats)
    assert old.noise is None
    assert not old.tied
    assert not old.beyond(0)
    alone = compare(evaluation([1.0]), evaluation([2.0]))
    assert (alone.percent, alone.noise) == (pytest.approx(100 * (math.e - 1)), None)


def test_seeds_share_the_noise_of_windows_and_add_their_own():
    one, other = pair(spread=0.05)
    copies = compare_seeds([(one, other)] * 3)
    assert copies.noise == pytest.approx(compare(one, other).noise), "the same windows three times are no more windows"
    apart = [evaluation(np.asarray(one.losses) + shift) for shift in (0.01, 0.03, 0.05)]
    found = compare_seeds([(one, changed) for changed in apart])
    assert (found.nats, found.seeds) == (pytest.approx(0.03), 3)
    assert found.noise == pytest.approx(0.02 / math.sqrt(3)), "windows agree, so only the seeds differ"
    assert compare_seeds([]) is None


@pytest.mark.parametrize(("nats", "noise", "text"), [
    (math.log(1.026), 0.003, "+2.6 % ± 0.31 %"), (math.log(0.987), 0.0005, "−1.3 % ± 0.049 %"), (math.log(3), None, "+200 %"),
    (0.0, 0.0, "+0.0 % ± 0.0 %"),
])
def test_it_is_told_in_percent_with_its_noise(nats, noise, text):
    assert Difference(nats=nats, noise=noise, windows=64).text == text
