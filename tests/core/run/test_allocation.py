"""Zeros shared out between layers: the least cost at an exact total, the divergence measured as the model would, resumed bit by bit."""

import itertools

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM

from core.export.folder import MemoryJournal
from core.methods.solve import solve
from core.models.blocks import map_blocks
from core.models.open_model import open_model
from core.run import allocation
from core.run.allocation import Curve, allocate, error_curve, measured_by, shared_out
from core.run.pipeline import prune
from core.run.planning import plan
from core.spec import METHODS, RunSpec, Structured, Unstructured, make_method, parse_pattern


def curve(costs: list[float], *, even: int, first: int = 0, each: int = 1) -> Curve:
    return Curve(counts=tuple(range(first, first + len(costs))), costs=tuple(costs), even=even, each=each, shape=(each, 99))


def total(curves: list[Curve], counts: list[int]) -> int:
    return sum(count * one.each for one, count in zip(curves, counts, strict=True))


def cost(curves: list[Curve], counts: list[int] | tuple[int, ...]) -> float:
    return sum(one.costs[count - one.counts[0]] for one, count in zip(curves, counts, strict=True))


@pytest.mark.parametrize("seed", range(8))
def test_the_least_cost_of_all_with_the_same_total(seed):
    """On convex curves, against every combination there is."""
    random = np.random.default_rng(seed)
    curves = [curve(list(np.cumsum(np.sort(random.exponential(scale, 5)))), first=first, even=first + 2)
              for scale, first in ((1, 0), (3, 2), (0.2, 5))]
    counts = shared_out(curves)
    same = [other for other in itertools.product(*(one.counts for one in curves)) if sum(other) == sum(one.even for one in curves)]
    assert total(curves, counts) == sum(one.even for one in curves)
    assert cost(curves, counts) == pytest.approx(min(cost(curves, other) for other in same))


def test_a_curve_that_bends_the_wrong_way_is_used_by_its_hull():
    """After a steep entry two are free: the hull's slope is 1 for all three, less than the other layer's 2."""
    assert shared_out([curve([0, 3, 3, 3], even=1), curve([0, 2, 4, 6], even=2)]) == [3, 0]


@pytest.mark.parametrize("costs", [([0, 1, 9], [0, 2, 3]), ([0, 10, 20], [0, 1, 2])])
def test_units_of_unequal_height_take_no_less_than_the_even_total(costs):
    curves = [curve(costs[0], even=1, each=5), curve(costs[1], even=1, each=3)]
    assert sum(one.even * one.each for one in curves) <= total(curves, shared_out(curves)) < sum(one.even * one.each for one in curves) + 5


@pytest.mark.parametrize("pattern", [
    Unstructured(), Unstructured(outlier_rows=0.3), Unstructured(outlier_rows=0.3, alpha_budget="iso"),
    Structured(sparsity=0.3), Structured(sparsity=0.3, outlier_rows=0.2),
])
def test_a_pattern_takes_the_count_it_is_given(pattern):
    most = 16 if pattern.kind == "structured" else 100
    for count in range(most):
        assert pattern.with_count(count, 11, 23).target(11, 23).count == count


def test_groups_are_refused_with_the_reason():
    with pytest.raises(ValidationError, match=r"allocation: 'marginal' .* for 2:4 only even\..* the same share"):
        RunSpec(pattern=parse_pattern("2:4"), allocation="marginal")


def test_curves_are_of_the_method_itself_where_that_is_cheap():
    own = {name for name in ("magnitude", "wanda", "sparsegpt", "thanos", "admm-grad", "frontier", "obc", "adaprune")
           if measured_by(RunSpec(method=make_method(name)), 64, 64)["method"].name == name}
    assert own == {"magnitude", "wanda", "sparsegpt", "thanos", "admm-grad"}
    assert measured_by(RunSpec(method=make_method("wanda"), refit=True), 64, 64)["method"].name == "admm-grad"


def test_a_curve_is_the_errors_of_the_method(layer):
    problem = layer(8, 40)
    spec = RunSpec(method=make_method("wanda"))
    found, pruned = error_curve(problem, spec, Unstructured())
    assert (found.counts, found.each, found.even) == ((14, 17, 20, 23, 26), 8, 20)  # Wanda takes as many from each of the 8 rows
    for count, error in zip(found.counts, found.costs, strict=True):
        assert error == pytest.approx(float(problem.error(solve(problem, "wanda", Unstructured(sparsity=count / 40)).weight)))
    assert torch.equal(pruned, solve(problem, "wanda", Unstructured()).weight)


@pytest.mark.parametrize("coupled", [False, True])
def test_a_curve_counts_errors_as_the_run_weighs_them(layer, coupled):
    plain = layer(8, 40)
    half = torch.randn(8, 8, generator=torch.Generator().manual_seed(0)).double()
    weights = (half @ half.T + torch.eye(8)) if coupled else torch.arange(1, 9, dtype=torch.float64)
    problem = plain.with_weight(plain.weight, output_weight=weights.to(plain.weight.dtype))
    found, pruned = error_curve(problem, RunSpec(method=make_method("thanos")), Unstructured())
    change = (pruned - plain.weight).double().numpy()
    counted = weights.numpy() if coupled else np.diag(weights.numpy())
    cost = dict(zip(found.counts, found.costs, strict=True))[found.even]
    assert cost == pytest.approx(np.trace(counted @ change @ plain.gram.double().numpy() @ change.T), rel=1e-5)
    assert not torch.equal(pruned, error_curve(plain, RunSpec(method=make_method("thanos")), Unstructured())[1])


def test_a_run_shares_out_with_the_weights_it_prunes_with(small, monkeypatch):
    spec, _ = small
    seen = {}
    monkeypatch.setattr(allocation, "error_curve", lambda problem, *rest: (
        seen.update({problem.name: problem.output_weight}), error_curve(problem, *rest))[1])
    options = {"allocation": "marginal", "method": make_method("wanda")}
    result = result_of(spec(fisher=0.5, **options))
    assert seen.keys() == {record.name for record in result.layers}
    assert all(weights.shape == (record.shape[0],) for record in result.layers if (weights := seen[record.name]) is not None)
    assert None not in seen.values()
    result_of(spec(**options))
    assert set(seen.values()) == {None}


def test_a_layers_divergence_is_what_the_whole_model_shows(small, monkeypatch):
    spec, folder = small
    seen = []
    monkeypatch.setattr(allocation, "shared_out", lambda curves: seen.extend(curves) or shared_out(curves))
    opened = open_model(spec(), torch.device("cpu"))
    turns = allocate(opened, map_blocks(opened.model), spec())
    patterns = drained(turns)
    assert set(patterns) == {linear.name for linears in map_blocks(opened.model).linears for linear in linears}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for (name, weight), other in zip(model.named_parameters(), opened.model.parameters(), strict=True):
        assert torch.equal(weight, other), name  # every layer is dense again
    tokens = opened.calibration.tokens
    with torch.no_grad():
        dense = model(input_ids=tokens).logits.log_softmax(-1)
        pruned = alone(spec(), model, list(patterns)[-1])
        found = model(input_ids=tokens).logits.log_softmax(-1)
    divergence = float((dense.exp() * (dense - found)).sum(-1).mean())
    costs = dict(zip(seen[-1].counts, seen[-1].costs, strict=True))
    assert pruned > 0
    assert costs[seen[-1].even] == pytest.approx(divergence, rel=1e-3)


def alone(spec: RunSpec, model, name: str) -> float:
    """Prune one layer of the model as the curve does; returns its share of zeros."""
    from core.layer.problem import LayerProblem
    from core.models.grams import collect

    item = next(item for block in collect(open_model(spec, torch.device("cpu"))) for item in block if name in item.layers)
    weight = dict(model.named_parameters())[f"{name}.weight"]
    solution = solve(LayerProblem(weight=weight.detach().clone(), gram=item.gram, tokens=item.tokens), spec.method, spec.pattern)
    weight.copy_(solution.weight)
    return solution.counted_sparsity


def drained(generator):
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return stop.value


def result_of(spec, **options):
    *_, last = prune(spec, **options)
    return last.result


@pytest.mark.parametrize("name", METHODS)
def test_every_method_can_share_out(small, name):
    """DSnoT needs the means of the inputs for its curves too."""
    even, uneven = (result_of(small[0](method=make_method(name), allocation=how)) for how in ("even", "marginal"))
    assert uneven.counted_sparsity == pytest.approx(even.counted_sparsity, abs=0.003)


@pytest.mark.parametrize("word", ["0.5", "columns:0.3"])
def test_the_total_is_the_even_one_and_layers_differ(small, word):
    spec, _ = small
    even, uneven = (result_of(spec(pattern=parse_pattern(word), allocation=how)) for how in ("even", "marginal"))
    zeros = [sum(round(layer.counted_sparsity * layer.parameters) for layer in result.layers) for result in (even, uneven)]
    assert 0 <= zeros[1] - zeros[0] < (1 if word == "0.5" else max(layer.shape[0] for layer in even.layers))
    shares = [layer.counted_sparsity for layer in uneven.layers]
    assert max(shares) > min(shares)
    tallest = max(1 / layer.shape[1] for layer in even.layers) + 1e-6  # a column
    for layer, base in zip(uneven.layers, even.layers, strict=True):
        assert abs(layer.counted_sparsity - base.counted_sparsity) <= 0.15 + tallest


def test_a_resumed_run_has_the_same_bits(small):
    spec, _ = small
    whole, part = MemoryJournal(), MemoryJournal()
    first = result_of(spec(), journal=whole)
    events = prune(spec(), journal=part)
    next(event for event in events if event.kind == "block")
    events.close()
    second = result_of(spec(), journal=part)
    assert second.resumed_blocks == 1
    assert second.pruned == first.pruned
    assert all(torch.equal(whole.weights[name], weight) for name, weight in part.weights.items())


def test_the_plan_says_what_it_cannot_know():
    note = plan(RunSpec(allocation="marginal")).note
    assert "between 35 % and 65 %" in note
    assert plan(RunSpec()).note is None
    assert plan(RunSpec(allocation="marginal")).pruned == plan(RunSpec()).pruned


