"""The whole pass: on every family, on real weights, against transformers itself, and interrupted."""

import math

import pytest
import torch
from transformers import AutoModelForCausalLM

from core.export.folder import MemoryJournal, save_checkpoint
from core.layer.outlier_rows import random_rows
from core.models.cost import Shape, count_work
from core.records import RunResult
from core.run import one_layer
from core.run.evaluation import evaluate
from core.run.journal import BlockState
from core.run.one_layer import solve_for_run
from core.run.pipeline import prune
from core.spec import METHODS, Calibration, Evaluation, RunSpec, make_method, parse_pattern
from core.spec.errors import BadInput
from core.spec.patterns import outlier_count
from tests.core.families import FAMILIES, LINEARS, save_family
from tests.pairwise import covering, parametrize

# More tokens than inputs: on a singular Gram matrix the optimum of every layer takes four times as long.
SMALL = {"calibration": Calibration(windows=16, length=64), "evaluation": Evaluation(windows=4, length=40)}


def result_of(spec: RunSpec, **options) -> RunResult:
    *_, last = prune(spec, **options)
    return last.result


def windowed(folder, **changes) -> RunSpec:
    source = f"windows:{folder / 'windows.npy'}"
    return RunSpec(model=folder.name, calibration=Calibration(source=source, windows=8), evaluation=Evaluation(source=source, windows=5),
                   **changes)


def perplexity_by_transformers(model, tokens: torch.Tensor) -> float:
    with torch.no_grad():
        losses = [model(input_ids=window[None], labels=window[None]).loss.double() for window in tokens]
    return math.exp(float(torch.stack(losses).mean()))


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    return tmp_path


@pytest.fixture
def stories(stories260k, shared_data, monkeypatch):
    """The text that the real weights of stories260K were trained on; the model is below PRUNESCOPE_MODELS."""
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(stories260k.parent))
    return shared_data / "text" / "tinystories_700.json"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_end_to_end(family, models, tmp_path):
    import numpy as np

    folder = save_family(family, models)
    spec = windowed(folder, method=make_method("thanos", block_size=16), pattern=parse_pattern("0.5"))
    journal = MemoryJournal()
    result = result_of(spec, journal=journal)
    assert len(result.layers) == 2 * LINEARS[family]
    assert result.counted_sparsity == pytest.approx(0.5, abs=0.01)
    for layer in result.layers:
        assert 0 < layer.optimum_error <= layer.relative_error < 1, layer.name
        assert layer.tokens == 8 * 24
    dense = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokens = torch.from_numpy(np.load(folder / "windows.npy")[:5])
    assert result.dense.perplexity == pytest.approx(perplexity_by_transformers(dense, tokens), rel=1e-5)
    save_checkpoint(result, journal.weights, tmp_path / "saved")
    pruned = AutoModelForCausalLM.from_pretrained(tmp_path / "saved", dtype=torch.float32)
    assert result.pruned.perplexity == pytest.approx(perplexity_by_transformers(pruned, tokens), rel=1e-5)
    changed = {name for name, parameter in pruned.named_parameters() if not torch.equal(parameter, dict(dense.named_parameters())[name])}
    assert changed == {f"{layer.name}.weight" for layer in result.layers}
    assert pruned.generate(tokens[:1, :4], min_new_tokens=3, max_new_tokens=3, do_sample=False).shape == (1, 7)


KINDS = {"0.5": "unstructured", "2:4": "semi-structured", "4:8": "semi-structured", "3:7": "semi-structured", "columns:0.3": "structured"}


@parametrize("method, pattern", covering(
    [(method, pattern) for pattern, kind in KINDS.items() for method in METHODS if kind not in METHODS[method].refuses],
    lambda row: (row[1], (row[0], KINDS[row[1]]))))
def test_real_weights_through_every_method_and_pattern(method, pattern, stories):
    spec = RunSpec(model="stories260K", method=make_method(method), pattern=parse_pattern(pattern),
                   calibration=Calibration(source=f"text:{stories}", windows=4, length=64),
                   evaluation=Evaluation(source=f"text:{stories}", windows=4, length=64))
    result = result_of(spec)
    assert len(result.layers) == 35
    down = next(layer for layer in result.layers if layer.module.endswith("down_proj"))
    assert down.shape == (64, 172)
    assert down.dense_columns == {"4:8": 4, "3:7": 4}.get(pattern, 0)
    target = spec.pattern.target(64, 172)
    zeros = {"0.5": 5504, "2:4": 64 * 86, "4:8": 64 * 84, "3:7": 64 * 72, "columns:0.3": 64 * 52}[pattern]
    assert round(down.counted_sparsity * 64 * 172) == zeros, target
    assert result.dense.perplexity < 10
    assert result.pruned.perplexity > result.dense.perplexity


def test_blocks_see_the_pruned_blocks_before_them(stories, monkeypatch):
    """The second block's Gram matrix and means are those of the activations behind the *pruned* first block, of all windows."""
    means: dict[str, torch.Tensor] = {}

    def spy(problem, *arguments, **options):
        means[problem.name] = problem.mean
        return solve_for_run(problem, *arguments, **options)

    monkeypatch.setattr("core.run.one_layer.solve_for_run", spy)
    source = f"text:{stories}"
    spec = RunSpec(model="stories260K", method=make_method("wanda"), pattern=parse_pattern("0.7"),
                   calibration=Calibration(source=source, windows=3, length=32), evaluation=Evaluation(source=source, windows=2, length=32))
    journal = MemoryJournal()
    result = result_of(spec, journal=journal)
    from core.models.loading import load_model
    from core.models.open_model import open_model
    from core.models.sources import resolve_model

    model = load_model(resolve_model("stories260K"))
    for name, weight in journal.states[0].weights.items():
        model.get_submodule(name).weight.data.copy_(weight)
    seen = []
    layer = model.model.layers[1].self_attn.q_proj
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].flatten(0, 1).double()))
    model(open_model(spec, torch.device("cpu")).calibration.tokens)
    inputs, weight = torch.cat(seen), layer.weight.double()
    change = journal.states[1].weights["model.layers.1.self_attn.q_proj"].double() - weight
    expected = float((inputs @ change.T).square().sum() / (inputs @ weight.T).square().sum())
    torch.testing.assert_close(means["model.layers.1.self_attn.q_proj"].double(), inputs.mean(0), rtol=1e-5, atol=1e-6)
    record = next(layer for layer in result.layers if layer.name == "model.layers.1.self_attn.q_proj")
    assert record.relative_error == pytest.approx(expected, rel=1e-4)


class Interrupted(MemoryJournal):
    def write(self, block: int, state: BlockState) -> None:
        super().write(block, state)
        if block == 2:
            raise KeyboardInterrupt


def test_interrupted_run_continues_with_the_same_bits(models, monkeypatch):
    spec = windowed(save_family("llama", models, num_hidden_layers=4))
    whole = MemoryJournal()
    expected = result_of(spec, journal=whole)
    journal = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        result_of(spec, journal=journal)
    rest = MemoryJournal()
    rest.states.update(journal.states)
    solved: list[str] = []
    usual = one_layer.solve_for_run
    monkeypatch.setattr(one_layer, "solve_for_run", lambda problem, *given: solved.append(problem.name) or usual(problem, *given))
    result = result_of(spec, journal=rest)
    assert result.resumed_blocks == 3
    assert set(solved) == {layer.name for layer in result.layers if layer.block >= 3}, "no finished block is solved again"
    assert (result.pruned.perplexity, result.dense) == (expected.pruned.perplexity, expected.dense)
    assert all(torch.equal(weight, rest.weights[name]) for name, weight in whole.weights.items())
    timeless = [[layer.model_copy(update={"seconds": 0.0}) for layer in found.layers] for found in (result, expected)]
    assert timeless[0] == timeless[1]


def test_rerun_has_the_same_bits_and_known_dense_perplexity_is_taken_over(models):
    spec = windowed(save_family("llama", models), method=make_method("sparsegpt"), pattern=parse_pattern("2:4"))
    first = result_of(spec)
    again = result_of(spec, dense=first.dense)
    assert again.pruned.perplexity == first.pruned.perplexity
    assert again.dense == first.dense
    assert evaluate(spec).perplexity == pytest.approx(first.dense.perplexity, rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_spec_gives_the_same_bits(method, models):
    spec = windowed(save_family("llama", models), method=make_method(method), pattern=parse_pattern("0.5"))
    first, again = MemoryJournal(), MemoryJournal()
    assert result_of(spec, journal=first).pruned == result_of(spec, journal=again).pruned
    assert all(torch.equal(weight, again.weights[name]) for name, weight in first.weights.items())


def test_true_sequential_lets_later_layers_see_earlier_ones(models):
    spec = windowed(save_family("llama", models), method=make_method("wanda"), pattern=parse_pattern("0.7"))
    plain = {layer.name: layer for layer in result_of(spec).layers}
    sequential = {layer.name: layer for layer in result_of(spec.model_copy(update={"true_sequential": True})).layers}
    first, last = "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj"
    assert sequential[first].relative_error == pytest.approx(plain[first].relative_error, rel=1e-6)
    assert sequential[last].relative_error != plain[last].relative_error


def test_sparsity_zero_changes_nothing():
    result = result_of(RunSpec(pattern=parse_pattern("0"), **SMALL))
    assert result.counted_sparsity < 1e-5  # the checkpoint itself holds a few zeros, and they are counted
    assert result.pruned.perplexity == result.dense.perplexity


def test_refit_lowers_every_layer_to_its_optimum(models):
    spec = windowed(save_family("llama", models), method=make_method("wanda"), refit=True)
    assert result_of(spec).median_gap < 0.05


def test_a_run_leaves_the_optimum_out_and_changes_nothing_else(models):
    weights, found, folder = [], [], save_family("llama", models)
    for left_out in (False, True):
        journal = MemoryJournal()
        found.append(result_of(windowed(folder, no_optimum=left_out), journal=journal))
        weights.append(journal.weights)
    with_it, without = found
    assert without.pruned == with_it.pruned
    assert all(torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())
    for one, other in zip(with_it.layers, without.layers, strict=True):
        assert other.relative_error == one.relative_error >= one.optimum_error > 0
        assert (other.optimum_error, other.gap, other.optimum_words) == (None, None, "")
    assert (without.median_gap, "optimum" in without.stages) == (None, False)
    work = [count_work(Shape(groups=((512, (512,)),), hidden=512, vocabulary=96), windowed(folder, no_optimum=left_out),
                       calibration_tokens=1024, evaluation_tokens=64, window=64).solve for left_out in (False, True)]
    assert work[1] < work[0] / 3
    assert RunResult.model_validate_json(without.model_dump_json()) == without


def test_events_tell_where_the_run_is(models):
    events = list(prune(windowed(save_family("llama", models, num_hidden_layers=4))))
    fractions = [event.fraction for event in events if event.kind == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[-1] > 0.9
    done = [event.done for event in events if event.kind == "layer"]
    assert done == list(range(1, 29))
    assert [event.block for event in events if event.kind == "block"] == list(range(4))


def test_pattern_that_does_not_fit_is_refused_before_anything_is_computed():
    run = prune(RunSpec(pattern=parse_pattern("1:512"), **SMALL))
    next(run)
    with pytest.raises(BadInput, match=r"q_proj, 256×256"):
        next(run)


def test_random_rows_of_a_run_are_those_of_its_draw(models):
    """The rows that keep all their weights, layer by layer, and as many zeros as with the strongest rows."""
    folder = save_family("llama", models)
    pattern = parse_pattern("columns:0.3", alpha=0.2)
    found, zeros = {}, {}
    for draw in (None, 0, 1):
        journal = MemoryJournal()
        result = result_of(windowed(folder, pattern=pattern, random_rows=draw), journal=journal)
        weights = {name: weight for state in journal.states.values() for name, weight in state.weights.items()}
        zeros[draw] = [layer.counted_sparsity for layer in result.layers]
        found[draw] = {name: (weight != 0).all(1).nonzero().flatten() for name, weight in weights.items()}
    assert zeros[None] == zeros[0] == zeros[1]
    for place, (name, rows) in enumerate(found[1].items()):
        assert torch.equal(rows, random_rows(len(weights[name]), outlier_count(len(weights[name]), 0.2), 1, place)), name
    assert any(not torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert any(not torch.equal(found[None][name], found[1][name]) for name in found[0])
