"""One protocol for estimates of perplexity: scaled by the dense model's losses on the same windows, and marked."""

import math
from types import SimpleNamespace

import pytest

from app.shared import estimates
from core.records import Evaluated


def evaluated(losses, known=True):
    return Evaluated(perplexity=math.exp(sum(losses) / len(losses)), tokens=511 * len(losses), windows=len(losses), length=512, text="t",
                     text_sha256="a", dtype="float32", losses=tuple(losses) if known else None)


def test_two_pages_estimate_the_same_number():
    """Explore scales a ratio, the sweep over α each point: with the right sign and on the same windows they agree."""
    dense = evaluated([3.0, 3.4, 2.9, 3.5])
    first, pruned = evaluated([3.0, 3.4]), evaluated([3.3, 3.6])
    preview = SimpleNamespace(dense=first, ratio=pruned.perplexity / first.perplexity)
    before, after = estimates.perplexities(preview, dense)
    assert before == dense.perplexity
    assert after == pytest.approx(pruned.perplexity * estimates.scale(dense, pruned))
    assert after == pytest.approx(math.exp(3.2 + 0.25))
    assert estimates.scale(dense, evaluated([3.3, 3.6, 3.1, 3.9])) == pytest.approx(1)


def test_what_is_not_known_is_not_scaled():
    measured = evaluated([3.3, 3.6])
    for dense in (None, evaluated([3.0, 3.4, 2.9], known=False), evaluated([3.0])):
        assert estimates.scale(dense, measured) is None
    assert estimates.origin(measured, scaled=False) == "≈ on the first 2 windows of 512 tokens"
    assert estimates.origin(measured, scaled=True) == "≈ from the first 2 windows of 512 tokens, scaled to all"
    assert estimates.shown(22.6).startswith("≈")
