"""Zeros shared out within a second: at the run's total, near the run's own layers, by a sensitivity that is the whole model's."""

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from core.methods.solve import solve
from core.models.open_model import open_model
from core.run.allocation import Curve
from core.run.pipeline import prune
from core.spec.patterns import Structured, Unstructured
from core.whatif import allocation_estimate as sharing
from core.whatif.allocation_estimate import carried_over, sample
from core.whatif.session import Session


@pytest.fixture
def session(small):
    return Session(open_model(small[0](), torch.device("cpu")))


def shares(preview) -> list[float]:
    return [layer.counted_sparsity for layer in preview.layers]


@pytest.mark.parametrize("pattern", [Unstructured(), Unstructured(sparsity=0.3, outlier_rows=0.1), Structured(sparsity=0.3)])
def test_a_preview_has_the_total_of_an_even_one_and_layers_differ(small, session, pattern):
    spec, _ = small
    even, uneven = (session.preview(spec(allocation=how, pattern=pattern)) for how in ("even", "marginal"))
    zeros = [sum(round(layer.counted_sparsity * layer.parameters) for layer in preview.layers) for preview in (even, uneven)]
    tallest = max(layer.shape[0] for layer in even.layers) if isinstance(pattern, Structured) else 1  # a column, an entry
    assert 0 <= zeros[1] - zeros[0] < tallest
    assert len(set(shares(uneven))) > len(set(shares(even)))


def test_no_layer_of_a_preview_is_far_from_the_runs_own(small, session):
    spec, _ = small
    *_, last = prune(spec())
    run, guessed = [layer.counted_sparsity for layer in last.result.layers], shares(session.preview(spec()))
    assert np.corrcoef(run, guessed)[0, 1] > 0.8


def test_a_sensitivity_is_what_half_a_layer_costs_the_whole_model(small, session):
    _, folder = small
    name = session.layers[-1].name
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokens = torch.cat(sample(session.opened.calibration.tokens))
    problem = session.problem(name)
    weight = solve(problem, "wanda", Unstructured()).weight
    with torch.no_grad():
        dense = model(input_ids=tokens).logits.log_softmax(-1)
        dict(model.named_parameters())[f"{name}.weight"].copy_(weight)
        found = model(input_ids=tokens).logits.log_softmax(-1)
    divergence = float((dense.exp() * (dense - found)).sum(-1).mean())
    assert session.sensitivity(name) == pytest.approx(divergence / float(problem.error(weight)), rel=1e-3)
    for (known, own), other in zip(model.named_parameters(), session.opened.model.parameters(), strict=True):
        assert known == f"{name}.weight" or torch.equal(own, other), known  # the session's is dense again


def test_a_sensitivity_is_measured_once(small, session, monkeypatch):
    spec, _ = small
    first = shares(session.preview(spec()))
    monkeypatch.setattr(sharing, "solve", None)
    assert shares(session.preview(spec())) == first


def test_the_sample_is_the_first_tokens_of_the_first_windows():
    tokens = torch.arange(9 * 300).reshape(9, 300)
    assert torch.equal(torch.cat(sample(tokens)), tokens[:4, :128])
    assert torch.equal(torch.cat(sample(tokens[:, :50])), tokens[:, :50])
    assert torch.equal(torch.cat(sample(tokens[:2])), tokens[:2, :128])


def test_what_is_between_is_on_the_parabola_of_the_logarithm():
    def cost(count: float) -> float:
        return math.exp(0.3 + 0.02 * count + 0.0001 * count**2)

    counts = (70, 100, 130)
    measured = Curve(counts=counts, costs=tuple(map(cost, counts)), even=100, each=3, shape=(3, 200))
    by_row = carried_over(measured, Unstructured(sparsity=0.53), whole_rows=True)
    assert (by_row.counts[0], by_row.even, by_row.counts[-1], by_row.each) == (76, 106, 136, 3)
    assert by_row.costs == pytest.approx([cost(count) for count in by_row.counts])
    entries = carried_over(measured, Unstructured(sparsity=0.53), whole_rows=False)
    assert (entries.counts[0], entries.even, entries.counts[-1], entries.each) == (228, 318, 408, 1)
    assert entries.costs == pytest.approx([cost(count / 3) for count in entries.counts])


def test_a_curve_that_begins_at_no_error_is_straight_between_its_points():
    measured = Curve(counts=(0, 10, 20), costs=(0.0, 1.0, 4.0), even=10, each=1, shape=(1, 100))
    found = carried_over(measured, Unstructured(sparsity=0.1), whole_rows=True)
    assert dict(zip(found.counts, found.costs, strict=True))[6] == pytest.approx(0.6)


def test_curves_serve_the_sparsities_near_those_at_which_they_were_measured(small, session, monkeypatch):
    spec, _ = small
    session.preview(spec(pattern=Unstructured(sparsity=0.41)))
    monkeypatch.setattr(sharing, "error_curve", None)
    session.preview(spec(pattern=Unstructured(sparsity=0.44)))
    with pytest.raises(TypeError):
        session.preview(spec(pattern=Unstructured(sparsity=0.46)))


@pytest.mark.parametrize("step", range(20))
def test_curves_are_measured_at_the_sparsity_itself_where_it_is_on_the_grid(step):
    for sparsity in (step / 20, step / 20 + 0.049):
        assert sharing.measured_at(Unstructured(sparsity=sparsity)).sparsity == pytest.approx(step / 20)
