"""Two masks counted against each other, as naive loops and independent masks would have it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.records.overlaps import Overlap, Overlaps, count_masks


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_masks_are_counted_as_a_loop_would(pairs):
    a, b = (torch.tensor([[pair[place] for pair in pairs]]) for place in (0, 1))
    counted = count_masks(a, b)
    expected = Overlap(both=pairs.count((True, True)), only_a=pairs.count((True, False)), only_b=pairs.count((False, True)),
                       neither=pairs.count((False, False)))
    assert counted == expected
    assert counted.agreement == pytest.approx(sum(x == y for x, y in pairs) / len(pairs))
    assert 0 <= counted.jaccard <= 1
    assert counted.sparsities == (float(a.float().mean()), float(b.float().mean())) or counted.sparsities == pytest.approx(
        (float(a.float().mean()), float(b.float().mean())))


def test_chance_is_what_independent_masks_come_to():
    generator = torch.Generator().manual_seed(3)
    a, b = torch.rand(400, 500, generator=generator) < 0.5, torch.rand(400, 500, generator=generator) < 0.3
    counted = count_masks(a, b)
    assert counted.agreement == pytest.approx(counted.agreement_by_chance, abs=0.01)
    assert counted.jaccard == pytest.approx(counted.jaccard_by_chance, abs=0.01)
    assert count_masks(a, a).jaccard == count_masks(a, a).agreement == 1
    nothing = torch.zeros(2, 2, dtype=torch.bool)
    assert count_masks(nothing, nothing).jaccard == count_masks(nothing, nothing).jaccard_by_chance == 1


def test_of_nothing_and_of_a_whole_model():
    nothing, some = Overlap(both=0, only_a=0, only_b=3, neither=1), Overlap(both=2, only_a=2, only_b=0, neither=4)
    assert (nothing.common, nothing.jaccard, nothing.same) == (1, 0, False)
    assert (some.common, some.jaccard) == (0.5, 0.5)
    assert Overlaps(layers={"a": nothing, "b": some}).whole == Overlap(both=2, only_a=2, only_b=3, neither=5)
