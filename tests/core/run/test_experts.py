"""Experts: each a layer with the Gram matrix of the tokens that are sent to it; pruned like any other layer; stored and loaded again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import AutoModelForCausalLM

from core.export.folder import MemoryJournal, save_checkpoint
from core.layer.problem import LayerProblem
from core.methods.solve import solve
from core.models.blocks import Linear, map_blocks
from core.models.grams import InputStatistics, input_statistics
from core.models.loading import load_model
from core.models.sources import resolve_model
from core.models.streaming import Stream
from core.run import collecting
from core.run.pipeline import prune
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from core.spec.errors import BadInput
from tests.core.zoo.build import build

# family: stored as [in, out], has biases, and changes of its configuration
KINDS = {"mixtral": {}, "gpt_oss": {}, "llama4_text": {}, "jetmoe": {}, "qwen2_moe": {}, "granitemoe": {}, "phimoe": {}, "olmoe": {},
         "qwen3_moe": {"num_experts": 64, "num_experts_per_tok": 2}}


def saved(family: str, folder: Path, **changes) -> None:
    model = build(family, **changes)
    model.save_pretrained(folder / family)
    np.save(folder / family / "windows.npy", np.random.default_rng(0).integers(3, 90, (8, 16)))


def asked(family: str, **changes) -> RunSpec:
    text = f"windows:{family}/windows.npy"
    return RunSpec(**{"model": family, "method": make_method("wanda"), "pattern": parse_pattern("0.5"), "device": "cpu",
                      "calibration": Calibration(source=text, windows=5), "evaluation": Evaluation(source=text, windows=3), **changes})


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    monkeypatch.setenv("PRUNESCOPE_TEXTS", str(tmp_path))
    return tmp_path


def statistics(model, tokens: torch.Tensor, **options) -> list[tuple[Linear, InputStatistics]]:
    block_map = map_blocks(model)
    with Stream(model, block_map, "cpu", tokens[:1], **options) as stream:
        hidden = stream.embed(tokens)
        found = input_statistics(stream, 0, hidden, range(len(stream.groups(0))), push=False)
        return [(linear, found[index]) for index, group in enumerate(stream.groups(0)) for linear in group]


def tokens_of(count: int = 4) -> torch.Tensor:
    return torch.randint(3, 90, (count, 16), generator=torch.Generator().manual_seed(1))


def mixtral_by_hand(model, tokens: torch.Tensor, *, every: bool) -> dict[str, tuple[torch.Tensor, int]]:
    """Gram matrices of the first block's experts in float64, from the textbook's forward of each expert alone."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    experts = model.model.layers[0].mlp.experts
    hook = experts.register_forward_pre_hook(lambda module, args: seen.append((args[0], args[1])))
    model(input_ids=tokens, use_cache=False)
    hook.remove()
    (hidden, routes), found = seen[0], {}
    for expert in range(experts.num_experts):
        inputs = hidden if every else hidden[(routes == expert).any(-1)]
        inputs = inputs.double()
        gate, up = (inputs @ experts.gate_up_proj[expert].double().T).chunk(2, -1)
        inner = functional.silu(gate) * up
        found[f"model.layers.0.mlp.experts.{expert}.gate_up_proj"] = inputs.T @ inputs, len(inputs)
        found[f"model.layers.0.mlp.experts.{expert}.down_proj"] = inner.T @ inner, len(inputs)
    return found


@pytest.mark.parametrize("every", [False, True])
def test_each_experts_gram_matrix_is_that_of_its_own_tokens(every):
    model, tokens = build("mixtral"), tokens_of()
    expected = mixtral_by_hand(model, tokens, every=every)
    found = {linear.name: item for linear, item in statistics(model, tokens, all_tokens=every) if linear.expert is not None}
    assert set(found) == set(expected)
    for name, (gram, count) in expected.items():
        assert found[name].tokens == count
        torch.testing.assert_close(found[name].gram.double(), gram, rtol=1e-4, atol=1e-4)


def test_stacks_of_either_orientation_and_with_biases_are_seen_the_same():
    """The product of what was seen is what the model computes: X·Wᵀ for a layer of every kind, by G alone: tr(WGWᵀ) = ‖WX‖²."""
    for family in ("gpt_oss", "llama4_text", "jetmoe"):
        model, tokens = build(family), tokens_of()
        outputs: dict[str, float] = {}
        with torch.no_grad():
            items = statistics(model, tokens)
        for linear, item in items:
            if linear.expert is not None and item.tokens:
                assert item.gram.shape == (linear.columns, linear.columns)
                outputs[linear.name] = float(torch.trace(linear.weight @ item.gram @ linear.weight.T))
        assert len(outputs) > 8, family
        first = [item.tokens for linear, item in items if linear.stack.endswith(("gate_up_proj", "mlp.input_linear.weight"))]
        assert sum(first) == 2 * 64  # two experts a token


def test_pruning_all_experts_is_pruning_each_as_an_ordinary_layer(home):
    saved("mixtral", home)
    spec = asked("mixtral", method=make_method("sparsegpt"))
    journal = MemoryJournal()
    result = next(event.result for event in prune(spec, journal=journal) if event.kind == "finished")
    assert len(result.layers) == 2 * (4 + 16)
    model = load_model(resolve_model("mixtral"))
    tokens = torch.from_numpy(np.load(home / "mixtral" / "windows.npy"))
    found = [(linear, item) for linear, item in statistics(model, _calibration(spec, tokens)) if linear.expert is not None]
    records = {layer.name: layer for layer in result.layers}
    for linear, item in found:
        plain = nn.Linear(linear.columns, linear.rows, bias=False)
        plain.weight.data = linear.weight.clone()
        one = solve(LayerProblem(weight=plain.weight.data, gram=item.gram, mean=item.mean, tokens=item.tokens, name=linear.name),
                    spec.method, spec.pattern)
        assert torch.equal(one.weight, journal.weights[linear.name]), linear.name
        assert records[linear.name].tokens == item.tokens


def _calibration(spec: RunSpec, tokens: torch.Tensor) -> torch.Tensor:
    from core.data.windows import calibration_windows
    from core.models.text_reader import TextReader

    return calibration_windows(spec.calibration, TextReader(resolve_model(spec.model), 64, 96)).tokens


@pytest.mark.parametrize("family", KINDS)
def test_an_export_loads_to_the_logits_of_the_run(family, home):
    saved(family, home, **KINDS[family])
    spec = asked(family, skip="*.experts.1.*" if family == "mixtral" else "")
    journal = MemoryJournal()
    result = next(event.result for event in prune(spec, journal=journal) if event.kind == "finished")
    save_checkpoint(result, journal.weights, home / "out")
    tokens = tokens_of()
    expected = AutoModelForCausalLM.from_pretrained(home / family, dtype=torch.float32).eval()
    for linears in map_blocks(expected).linears:
        for linear in linears:
            if linear.name in journal.weights:
                linear.write(journal.weights[linear.name])
    again = AutoModelForCausalLM.from_pretrained(home / "out", dtype=torch.float32).eval()
    assert torch.equal(again(input_ids=tokens, use_cache=False).logits, expected(input_ids=tokens, use_cache=False).logits)
    experts = [layer for layer in result.layers if layer.name in {one.name for group in map_blocks(again).linears for one in group
                                                                  if one.expert is not None}]
    assert experts
    assert all(layer.counted_sparsity == pytest.approx(0.5, abs=0.02) for layer in experts)
    assert not any(".experts.1." in layer.name for layer in experts) or family != "mixtral"


def test_parts_change_no_number(home, monkeypatch):
    saved("mixtral", home)
    results = []
    for most in (4 << 30, 3 * 4 * 48**2):
        monkeypatch.setattr(collecting, "GRAM_BYTES", most)
        journal = MemoryJournal()
        list(prune(asked("mixtral", method=make_method("thanos")), journal=journal))
        results.append(journal.weights)
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


@pytest.mark.parametrize(("choice", "sparsity", "words"), [("routed", 0.5, "pruned by magnitude"), ("dense", 0.0, "stay dense")])
def test_an_expert_without_tokens_is_counted(choice, sparsity, words, home):
    saved("qwen3_moe", home, num_experts=64)
    spec = asked("qwen3_moe", experts=choice, method=make_method("sparsegpt"), calibration=Calibration(
        source="windows:qwen3_moe/windows.npy", windows=1))
    journal = MemoryJournal()
    result = next(event.result for event in prune(spec, journal=journal) if event.kind == "finished")
    idle = [layer for layer in result.layers if layer.tokens == 0]
    assert idle
    assert all(layer.counted_sparsity == sparsity for layer in idle)
    assert any(f"{len(idle)} saw none and" in note and words in note for note in result.notes)
    if choice == "routed":  # by magnitude, and what is kept is as it was
        dense = {linear.name: linear for group in map_blocks(load_model(resolve_model("qwen3_moe"))).linears for linear in group}
        own, new = dense[idle[0].name].weight, journal.weights[idle[0].name]
        assert torch.equal(own[new != 0], new[new != 0])
        for before, after in zip(own.abs(), new, strict=True):
            assert before[after == 0].max() <= before[after != 0].min()


@pytest.mark.parametrize("changes", [{"fisher": 0.5}, {"allocation": "marginal"}])
def test_what_experts_do_not_have_is_refused(changes, home):
    saved("mixtral", home)
    with pytest.raises(BadInput, match="with experts"):
        list(prune(asked("mixtral", **changes)))


def test_all_tokens_are_refused_where_experts_take_no_table(home):
    with pytest.raises(BadInput, match=r"experts.*routed or dense"):
        statistics(build("jetmoe"), tokens_of(), all_tokens=True)
