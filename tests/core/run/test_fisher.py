"""Fisher weighting: against autograd through the whole model, and against a layer whose rows are scaled by hand."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from transformers import AutoModelForCausalLM

from core import BadInput, LayerProblem, prune, solve
from core.export.folder import MemoryJournal
from core.layer.steps import drain
from core.models.blocks import map_blocks
from core.models.open_model import open_model
from core.run import fisher as fisher_module
from core.run.fisher import fisher, weigh
from core.run.revisions import revisions
from core.spec import METHODS, make_method, parse_pattern
from core.spec.errors import Cancelled
from core.whatif.session import Session
from tests.core.families import save_family


def output_weights(opened, strength: float, *, coupled: bool = False) -> dict[str, torch.Tensor]:
    """What a run weighs every layer's outputs by."""
    found = drain(fisher(opened, map_blocks(opened.model), coupled=coupled))
    return {name: weigh(total, strength) for name, total in found.items()}


def by_autograd(folder, tokens, name) -> torch.Tensor:
    """Σ (∂ℓ/∂y)(∂ℓ/∂y)ᵀ of a layer's outputs y, by transformers' own loss and autograd."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    seen: list[torch.Tensor] = []
    layer = model.get_submodule(name)

    def keep(module, given, output):
        output.retain_grad()
        seen.append(output)

    layer.register_forward_hook(keep)
    count = tokens.shape[0] * (tokens.shape[1] - 1)
    (model(input_ids=tokens, labels=tokens).loss * count).backward()
    slopes = seen[0].grad.flatten(0, -2)
    return slopes.T @ slopes


@pytest.mark.parametrize("family", ["llama", "opt", "gpt2", "gemma"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_weights_are_the_fisher_information_of_autograd(family, strength, small, tmp_path):
    folder = save_family(family, tmp_path)
    source = f"windows:{folder / 'windows.npy'}"
    spec = small[0](allocation="even").model_copy(update={"model": folder.name})
    spec = spec.model_copy(update={"calibration": spec.calibration.model_copy(update={"source": source})})
    opened = open_model(spec, torch.device("cpu"))
    found, matrices = output_weights(opened, strength), drain(fisher(opened, map_blocks(opened.model), coupled=True))
    names = [linear.name for linears in map_blocks(opened.model).linears for linear in linears]
    assert sorted(found) == sorted(matrices) == sorted(names)
    for name in names:
        expected = by_autograd(folder, opened.calibration.tokens, name)
        torch.testing.assert_close(matrices[name], expected, rtol=2e-3, atol=1e-4 * float(expected.diagonal().mean()))
        expected = (expected.diagonal() / expected.diagonal().mean()) ** strength
        expected = expected.clamp(min=1e-4 * expected.mean())
        torch.testing.assert_close(found[name], expected, rtol=2e-3, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in opened.model.parameters())


def layer(weights: torch.Tensor | None = None, *, rows: int = 20, columns: int = 32) -> LayerProblem:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(columns, 4 * columns, generator=generator) + 0.3
    inputs[1::2] += inputs[::2]
    return LayerProblem(weight=torch.randn(rows, columns, generator=generator), gram=inputs @ inputs.T, mean=inputs.mean(1),
                        tokens=4 * columns, output_weight=weights)


def uneven() -> torch.Tensor:
    return torch.rand(20, generator=torch.Generator().manual_seed(4)) ** 4 * 30 + 0.01


@pytest.mark.parametrize("name", METHODS)
def test_a_method_sees_the_rows_scaled(name):
    weights = uneven()
    found = solve(layer(weights), name, parse_pattern("0.5"))
    scaled = layer().with_weight(layer().weight * weights.sqrt()[:, None])
    expected = solve(scaled, name, parse_pattern("0.5"))
    assert torch.equal(found.pruned, expected.pruned)
    assert not found.weight[found.pruned].any()
    torch.testing.assert_close(found.weight, expected.weight / weights.sqrt()[:, None])
    assert found.relative_error == pytest.approx(layer().relative(layer().error(found.weight)), rel=1e-6), "the error told is unweighted"


@pytest.mark.parametrize("name", ["thanos", "obc", "frontier", "admm-grad", "magnitude"])
def test_the_weighted_error_falls(name):
    """Where rows share a budget, those that count more keep more."""
    weights = uneven()
    errors = []
    for problem in (layer(weights), layer()):
        found = solve(problem, name, parse_pattern("0.5"), **({"granularity": "layer"} if name == "admm-grad" else {}))
        change = found.weight - problem.weight
        errors.append(float((((change @ problem.gram) * change).sum(1) * weights).sum()))
        assert found.counted_sparsity == 0.5
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.parametrize("name", ["magnitude", "wanda", "dsnot"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_kept_and_not_moved_stays_to_the_bit(name, dtype):
    problem = layer()
    problem = LayerProblem(weight=problem.weight.to(dtype), gram=problem.gram, mean=problem.mean, tokens=problem.tokens,
                           output_weight=uneven())
    found = solve(problem, name, parse_pattern("0.5", alpha=0.1))
    assert torch.equal(found.weight, problem.weight.masked_fill(found.pruned, 0))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("word", ["0.5", "2:4"])
def test_equal_weights_change_nothing(name, word):
    found, usual = (solve(layer(weights), name, parse_pattern(word)) for weights in (torch.full((20,), 4.0), None))
    assert torch.equal(found.pruned, usual.pruned)
    torch.testing.assert_close(found.weight, usual.weight)


@pytest.mark.parametrize("weights", [
    torch.ones(19), torch.zeros(20), torch.full((20,), torch.nan), -torch.ones(20), torch.ones(20, 20), torch.eye(19), -torch.eye(20),
    torch.full((20, 20), torch.nan), torch.eye(20) + 0.1 * torch.eye(20).roll(1, 0), torch.eye(20)[None]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(BadInput, match="output_weight"):
        layer(weights)


def test_a_run_weighs_outputs_and_goes_on_after_a_stop(small):
    spec = small[0](allocation="even", fisher=0.5)
    journal = MemoryJournal()
    *_, last = prune(spec, journal=journal)
    *_, plain = prune(small[0](allocation="even"))
    assert last.result.pruned.perplexity != plain.result.pruned.perplexity
    assert last.result.stages["weigh outputs"] > 0
    assert "weigh outputs" not in plain.result.stages
    kept = MemoryJournal()
    kept.write(0, journal.read(0))
    *_, resumed = prune(spec, journal=kept)
    assert resumed.result.resumed_blocks == 1
    assert resumed.result.pruned.perplexity == last.result.pruned.perplexity


def test_a_preview_weighs_outputs_as_a_run_would(small):
    """Each layer as with the weights of `output_weights`, measured once, alone too; without, nothing changes."""
    spec = small[0](allocation="even", pattern=parse_pattern("0.6"))
    opened = open_model(spec, torch.device("cpu"))
    weights = output_weights(opened, 0.5)
    session = Session(open_model(spec, torch.device("cpu")))
    usual = session.preview(spec)
    weighed = spec.model_copy(update={"fisher": 0.5})
    preview = session.preview(weighed)
    assert preview.pruned.perplexity != usual.pruned.perplexity
    for record in preview.layers:
        problem = session.problem(record.name)
        expected = solve(problem.with_weight(problem.weight, record.name, weights[record.name]), spec.method, spec.pattern)
        assert record.relative_error == pytest.approx(expected.relative_error, rel=1e-6)
        assert session.solve(record.name, weighed).relative_error == record.relative_error
        assert not torch.equal(session.solve(record.name, weighed).weight, session.solve(record.name, spec).weight)
    measured = session._outputs._fisher[False]
    assert session.preview(weighed.model_copy(update={"fisher": 1.0})).pruned.perplexity != preview.pruned.perplexity
    assert list(session._outputs._fisher) == [False]
    assert session._outputs._fisher[False] is measured
    assert session.preview(spec).pruned.perplexity == usual.pruned.perplexity
    quick = session.preview(weighed.model_copy(update={"method": make_method("frontier")}), at_once=True)
    assert quick.counted_sparsity == pytest.approx(0.6, abs=1e-2)


def test_one_layer_alone_weighs_its_outputs(small):
    """Without a preview before it, and many threads at once: F is measured once."""
    spec = small[0](allocation="even", fisher=0.5)
    session = Session(open_model(spec, torch.device("cpu")))
    names = [layer.name for layer in session.layers]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda name: session.solve(name, spec).relative_error, names[:4]))
    assert found == [layer.relative_error for layer in session.preview(spec).layers[:4]]


def test_who_no_longer_waits_is_not_measured_for(small):
    spec = small[0](allocation="even", fisher=0.5)
    session = Session(open_model(spec, torch.device("cpu")))
    with pytest.raises(Cancelled):
        session.until(lambda: False).preview(spec)
    assert session.preview(spec).pruned.perplexity > 1


def test_gradients_that_are_no_numbers_are_told(small):
    opened = open_model(small[0](allocation="even"), torch.device("cpu"))
    with torch.no_grad():
        opened.model.get_submodule("model.layers.1.mlp.down_proj").weight[0, 0] = torch.inf
    with pytest.raises(BadInput, match=r"layers\.1\..*leave Fisher weighting out"):
        output_weights(opened, 0.5)


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
def test_a_matrix_is_weighed_by_its_power(strength):
    """(F^φ)^(1/φ) is F again, once the tenth of the identity and the scale are away."""
    slopes = torch.randn(40, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    total = slopes.T @ slopes
    found = weigh(total, strength)
    assert found.diagonal().mean() == pytest.approx(1.1)
    values, vectors = torch.linalg.eigh(found - 0.1 * torch.eye(12))
    again = (vectors * values ** (1 / strength)) @ vectors.T
    torch.testing.assert_close(again / again.diagonal().mean(), total / total.diagonal().mean(), rtol=1e-6, atol=1e-9)


def test_outputs_that_move_nothing_count_the_same_each():
    torch.testing.assert_close(weigh(torch.zeros(5, 5), 0.5), 1.1 * torch.eye(5))


def test_wide_layers_keep_the_diagonal_alone(small, monkeypatch):
    opened = open_model(small[0](allocation="even"), torch.device("cpu"))
    usual, alone = (drain(fisher(opened, map_blocks(opened.model), coupled=coupled)) for coupled in (True, False))
    monkeypatch.setattr(fisher_module, "COUPLED_OUTPUTS", min(len(total) for total in usual.values()))
    found = drain(fisher(opened, map_blocks(opened.model), coupled=True))
    assert {total.ndim for total in found.values()} == {1, 2}
    for name, total in found.items():
        torch.testing.assert_close(total, usual[name] if total.ndim == 2 else alone[name])
        torch.testing.assert_close(usual[name].diagonal(), alone[name], rtol=1e-4, atol=1e-7 * float(alone[name].max()))


def test_a_run_and_a_preview_of_frontier_couple_outputs(small):
    spec = small[0](allocation="even", fisher=0.5, method=make_method("frontier", rounds=3, steps=2, patience=2))
    plain = spec.model_copy(update={"fisher": 0.0})
    assert revisions(spec).method == revisions(plain).method + 1, "what version 3 stored with a diagonal is another run"
    uneven = {strength: revisions(spec.model_copy(update={"fisher": strength, "allocation": "marginal"})).method for strength in (0.0, 0.5)}
    assert uneven == {0.0: revisions(plain).method, 0.5: revisions(spec).method + 1}, "as curves that counted all outputs the same are"
    journal = MemoryJournal()
    *_, last = prune(spec, journal=journal)
    kept = MemoryJournal()
    kept.write(0, journal.read(0))
    *_, resumed = prune(spec, journal=kept)
    assert resumed.result.pruned.perplexity == last.result.pruned.perplexity
    opened = open_model(spec, torch.device("cpu"))
    weights = output_weights(opened, 0.5, coupled=True)
    session = Session(open_model(spec, torch.device("cpu")))
    preview = session.preview(spec)
    assert [record.relative_error for record in preview.layers[:3]] == pytest.approx(
        [record.relative_error for record in last.result.layers[:3]], rel=1e-3), "the first block reads the same inputs in both"
    for record in preview.layers:
        problem = session.problem(record.name)
        expected = solve(problem.with_weight(problem.weight, record.name, weights[record.name]), spec.method, spec.pattern)
        assert record.relative_error == pytest.approx(expected.relative_error, rel=1e-3)
    assert session.preview(plain).pruned.perplexity != preview.pruned.perplexity
    assert session.preview(spec.model_copy(update={"method": make_method("thanos")})).pruned.perplexity > 1, "all of F has its diagonal too"
    assert list(session._outputs._fisher) == [True]


def test_an_output_that_nothing_reads_still_counts_a_ten_thousandth():
    weights = weigh(torch.tensor([0.0, 1.0, 3.0, 4.0], dtype=torch.float64), 1.0)
    assert float(weights[0]) == pytest.approx(1e-4 * float(weights[1:].sum()) / 4)


def test_the_information_is_summed_over_batches(small, monkeypatch):
    opened = open_model(small[0](allocation="even"), torch.device("cpu"))
    together = drain(fisher(opened, map_blocks(opened.model), coupled=True))
    monkeypatch.setattr(fisher_module, "batches", lambda tensor: tensor.split(1))
    apart = drain(fisher(opened, map_blocks(opened.model), coupled=True))
    assert together.keys() == apart.keys()
    for name, total in together.items():
        torch.testing.assert_close(apart[name], total, rtol=1e-3, atol=1e-4 * float(total.diagonal().mean()))
