"""A session answers as a run would from the dense model's Grams, and leaves the model as it was."""

import pytest
import torch

from core import BadInput, optimum
from core.methods.solve import solve
from core.models.open_model import open_model
from core.run.pipeline import prune
from core.spec import METHODS, Calibration, Evaluation, RunSpec, make_method, parse_pattern
from core.spec.errors import Cancelled
from core.whatif.preview_cost import preview_cost
from core.whatif.session import Session
from tests import oracles

SMALL = {"calibration": Calibration(windows=16, length=64), "evaluation": Evaluation(windows=4, length=64)}


@pytest.fixture(scope="module")
def session():
    return Session(open_model(RunSpec(**SMALL), torch.device("cpu")))


def test_a_preview_counts_and_measures(session):
    spec = RunSpec(**SMALL, method=make_method("thanos"), pattern=parse_pattern("0.5"))
    preview = session.preview(spec)
    assert [layer.name for layer in preview.layers] == [info.name for info in session.layers]
    assert preview.counted_sparsity == pytest.approx(0.5, abs=1e-4)
    for layer in preview.layers[5::18]:
        problem = session.problem(layer.name)
        solution = solve(problem, spec.method, spec.pattern)
        best = problem.relative(problem.error(optimum(problem, solution.pruned, tolerance=1e-5)))
        assert layer.relative_error == pytest.approx(solution.relative_error, rel=1e-6)
        assert best * 0.999 <= layer.optimum_error <= layer.relative_error


@pytest.mark.long
def test_run_preview_and_what_if_tell_one_optimum_the_least_squares_one(session):
    """The first block's inputs are the same in a run and in a session; the oracle solves each row by numpy in float64."""
    spec = RunSpec(**SMALL, method=make_method("thanos"), pattern=parse_pattern("0.5"))
    name = "model.layers.0.self_attn.v_proj"
    run = next(event.layer for event in prune(spec) if event.kind == "layer" and event.layer.name == name)
    preview = next(layer for layer in session.preview(spec).layers if layer.name == name)
    solution = session.solve(name, spec)
    weight, gram = (tensor.double().numpy() for tensor in (session.problem(name).weight, session.problem(name).gram))
    least = oracles.least_error(weight, gram, solution.pruned.numpy()) / oracles.energies(weight, gram).sum()
    for told in (run.optimum_error, preview.optimum_error, session.record(name, solution).optimum_error):
        assert f"{told:.3g}" == f"{least:.3g}"


def test_its_perplexity_is_the_model_s_own(session):
    """Against a plain forward of the whole model with the weights written into it."""
    spec = RunSpec(**SMALL, method=make_method("magnitude"), pattern=parse_pattern("0.7"))
    preview = session.preview(spec)
    opened = open_model(RunSpec(**SMALL), torch.device("cpu"))
    for name, layer in opened.model.named_modules():
        if name in session.linears:
            layer.weight.data = session.solve(name, spec).weight
    tokens = opened.evaluation.tokens
    with torch.no_grad():
        losses = opened.model(input_ids=tokens, labels=tokens).loss
    assert preview.pruned.perplexity == pytest.approx(float(losses.exp()), rel=1e-5)
    assert preview.pruned.windows == 4


def test_the_model_is_left_as_it_was(session):
    before = {name: linear.weight.clone() for name, linear in session.linears.items()}
    dense = session.dense.perplexity
    session.preview(RunSpec(**SMALL, method=make_method("sparsegpt"), pattern=parse_pattern("2:4")))
    assert all(torch.equal(linear.weight, before[name]) for name, linear in session.linears.items())
    assert session.perplexity({}).perplexity == dense


def test_nothing_pruned_is_the_dense_model(session):
    preview = session.preview(RunSpec(**SMALL, pattern=parse_pattern("0")))
    assert preview.ratio == 1
    assert preview.worst.relative_error == 0


def test_a_solution_is_remembered_by_all_that_it_depends_on(session, monkeypatch):
    name = session.layers[3].name
    spec = RunSpec(**SMALL, method=make_method("thanos"), pattern=parse_pattern("0.4"))
    solution = session.solve(name, spec)
    assert session.solve(name, spec) is solution
    others = [spec.model_copy(update={"refit": True}), spec.model_copy(update={"update": "none"}),
              RunSpec(**SMALL, method=make_method("thanos", block_size=8), pattern=spec.pattern),
              RunSpec(**SMALL, pattern=parse_pattern("0.4", alpha=0.1))]
    for other in others:
        again = solve(session.problem(name), other.method, other.pattern, update=other.update, refit=other.refit)
        assert torch.equal(session.solve(name, other).weight, again.weight)
        assert not torch.equal(again.weight, solution.weight)
    monkeypatch.setattr("core.whatif.solution_memory.SOLUTION_BYTES", 1)
    session.solve(session.layers[4].name, spec)
    assert session.solve(name, spec) is not solution, "what does not fit is forgotten, the oldest first"


def test_every_method_can_be_asked(session):
    for method in METHODS:
        spec = RunSpec(**SMALL, method=make_method(method), pattern=parse_pattern("2:4"))
        name = session.layers[0].name
        record = session.record(name, session.solve(name, spec))
        assert 0 < record.optimum_error <= record.relative_error < 1


def test_at_once_a_slow_method_is_estimated_from_a_few_rows_and_a_fast_one_is_not(session, monkeypatch):
    fast, slow = (RunSpec(**SMALL, method=method, pattern=parse_pattern("0.6"))
                  for method in (make_method("wanda"), make_method("admm-grad", iterations=4)))
    assert session.preview(fast, at_once=True).rows is None
    monkeypatch.setattr("core.whatif.session.AT_ONCE", 0.01)
    guess, preview = session.preview(slow, at_once=True), session.preview(slow)
    assert (guess.rows, preview.rows) == (4, None)
    assert [layer.name for layer in guess.layers] == [layer.name for layer in preview.layers]
    assert guess.counted_sparsity == pytest.approx(preview.counted_sparsity, abs=1e-4)
    ratios = sorted(a.relative_error / b.relative_error for a, b in zip(guess.layers, preview.layers, strict=True))
    assert 0.9 < ratios[len(ratios) // 2] < 1.1
    assert guess.ratio == pytest.approx(preview.ratio, rel=0.03)
    other = session.preview(slow.model_copy(update={"method": make_method("magnitude")}))
    assert preview.ratio < other.ratio / 1.05, "which says something"


def test_what_is_not_wanted_any_more_ends_between_two_steps(session):
    looks = iter([True] * 5)
    leaving = session.until(lambda: next(looks, False))
    name, spec = session.layers[0].name, RunSpec(**SMALL, method=make_method("thanos", block_size=8), pattern=parse_pattern("0.45"))
    with pytest.raises(Cancelled):
        leaving.solve(name, spec)  # 32 blocks
    with pytest.raises(Cancelled):
        leaving.preview(spec)
    assert session.solve(name, spec).counted_sparsity == pytest.approx(0.45, abs=1e-3), "nothing half done is remembered"


@pytest.mark.parametrize("spec", [
    pytest.param(RunSpec(**SMALL, pattern=parse_pattern("0.9")), id="preview"),
    pytest.param(RunSpec(**SMALL, pattern=parse_pattern("0.8"), allocation="marginal"), id="allocation", marks=pytest.mark.long),
])
def test_a_layer_can_be_asked_for_while_the_model_computes_with_other_weights(session, spec):
    """Looked at whenever the other one looks whether it is wanted; and never written into in between."""
    name = session.layers[-1].name
    weight, seen = session.problem(name).weight.clone(), list[bool]()
    written = session.problem(name).weight._version

    def wanted() -> bool:
        seen.append(torch.equal(session.problem(name).weight, weight))
        return True

    session.until(wanted).preview(spec)
    assert len(seen) > 42
    assert all(seen)
    assert session.problem(name).weight._version == written


def test_all_layers_at_once_are_each_solved_as_alone(session):
    spec = RunSpec(**SMALL, method=make_method("sparsegpt"), pattern=parse_pattern("2:4"))
    together = session.over_layers(lambda name: solve(session.problem(name), spec.method, spec.pattern))
    assert list(together) == [info.name for info in session.layers]
    for name in list(together)[::11]:
        alone = solve(session.problem(name), spec.method, spec.pattern)
        assert together[name].relative_error == pytest.approx(alone.relative_error, rel=1e-5)
        assert torch.equal(together[name].pruned, alone.pruned)


def test_a_layer_that_is_not_there_is_named(session):
    with pytest.raises(BadInput, match=r"model\.layers\.9.*42 layers"):
        session.problem("model.layers.9.self_attn.q_proj")


def test_a_preview_of_a_slow_method_is_costed_from_few_rows(session):
    wanda, slow = (preview_cost(session, RunSpec(**SMALL, method=method, pattern=parse_pattern("0.5")))
                   for method in (make_method("wanda"), make_method("adaprune", iterations=10_000)))
    assert wanda.held_bytes == slow.held_bytes == 4 * sum(layer.rows * layer.columns for layer in session.layers)
    assert 0 < wanda.seconds < slow.seconds < 60
