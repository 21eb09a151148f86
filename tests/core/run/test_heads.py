"""Heads go: zeros are the smaller model, kept columns are least squares, the folder loads in transformers, and what no configuration says
is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from core.export.folder import save_checkpoint
from core.models.heads import attention_heads, require_heads
from core.models.loading import build
from core.models.shrinking import entries, shared_units, shrunk
from core.run.pipeline import prune
from core.run.planning import plan
from core.spec import RunSpec, make_method, parse_pattern
from core.spec.errors import BadInput
from tests.core.families import FAMILIES, save_family
from tests.core.run.smaller import run, small_spec

SAYS = ("llama", "qwen3", "mistral", "gemma", "phi")
WIDTH, GONE = 8, 2  # of each family's four heads


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    return lambda family: save_family(family, tmp_path)


def spec_of(folder, method="thanos", pattern="heads:2", **changes) -> RunSpec:
    return small_spec(folder, method, pattern, **changes)


@pytest.mark.parametrize("family", SAYS)
def test_the_folder_is_the_run_with_zeros_and_loads_as_it_is(saved, family, tmp_path):
    folder = saved(family)
    spec = spec_of(folder, "wanda" if family == "phi" else "thanos")
    result, journal = run(spec)
    shape = result.shape
    assert {shape.span * len(gone) for gone in shape.heads.values()} == {GONE}
    zeros = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    for name, weight in journal.weights.items():
        zeros.get_submodule(name).weight.data.copy_(weight)
    dense = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    out = tmp_path / "out"
    save_checkpoint(result, journal.weights, out)
    loaded = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    assert (loaded.config.num_attention_heads, loaded.config.head_dim) == (4 - GONE, WIDTH)
    assert loaded.config.num_key_value_heads == {"gemma": 1, "phi": 2}.get(family, 1)
    assert sum(parameter.numel() for parameter in loaded.parameters()) == shape.left
    made = plan(spec)
    assert (made.removed, made.sparsity) == (shape.removed, pytest.approx(result.counted_sparsity))
    tokens = torch.from_numpy(np.load(folder / "windows.npy")[:3])
    with torch.no_grad():
        logits = loaded(tokens).logits
        torch.testing.assert_close(shrunk(dense, shape, journal.weights)(tokens).logits, logits, rtol=0, atol=0)
        torch.testing.assert_close(zeros(tokens).logits, logits, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(dense(tokens).logits, logits, atol=1e-2)


def test_the_heads_of_least_loss_go_and_kept_columns_are_least_squares(saved):
    folder = saved("qwen3")
    result, journal = run(spec_of(folder))
    dense = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    name, seen = "model.layers.0.self_attn.o_proj", []
    dense.get_submodule(name).register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(0, 1)))
    with torch.no_grad():
        dense(torch.from_numpy(np.load(folder / "windows.npy")[:8]))
    inputs = seen[0].double()
    gram = inputs.T @ inputs
    hessian = gram + 0.01 * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    weight, found = dense.get_submodule(name).weight.double(), journal.weights[name].double()
    losses = (weight.square().sum(0) * gram.diagonal()).view(-1, 2 * WIDTH).sum(1)  # two queries read a key and value head
    assert result.shape.heads[0] == (int(losses.argmin()),)
    gone, kept = (list(entries(units, 2 * WIDTH)) for units in (result.shape.heads[0], result.shape.kept_units(0)))
    expected = weight[:, kept] + weight[:, gone] @ hessian[gone][:, kept] @ torch.linalg.inv(hessian[kept][:, kept])
    torch.testing.assert_close(found[:, kept], expected, rtol=1e-3, atol=1e-4)
    assert not found[:, gone].any()
    for other, changed in journal.weights.items():
        if "self_attn" not in other:
            assert torch.equal(changed, dense.get_submodule(other).weight)


def test_a_rerun_from_the_journal_is_the_same(saved):
    spec = spec_of(saved("mistral"), "magnitude", "heads:0.5")
    result, journal = run(spec)
    *_, again = prune(spec, journal=journal)
    assert (again.result.resumed_blocks, again.result.shape) == (2, result.shape)
    assert again.result.pruned.losses == result.pruned.losses
    assert [one.relative_error for one in again.result.layers] == [one.relative_error for one in result.layers]


@pytest.mark.parametrize(("family", "reason"), [
    ("opt", "as wide as their number leaves them"), ("gpt2", "no number of heads|as wide as"), ("gpt_neox", "follow|as wide as"),
    ("phi3", "holds more than queries, keys or values alone"), ("olmo2", "has entries for each head as well")])
def test_a_family_whose_configuration_cannot_say_it_is_refused(family, reason):
    config = AutoConfig.for_model(family, **FAMILIES.get(family, FAMILIES["llama"]), **({"pad_token_id": 0} if family == "phi3" else {}))
    with pytest.raises(BadInput, match=reason):
        attention_heads(build(config))


def test_numbers_that_cannot_be_are_refused_with_those_that_can(saved):
    folder = saved("llama")
    with pytest.raises(BadInput, match="whole groups of 2 that share a key and a value head: 2"):
        plan(spec_of(folder, pattern="heads:1"))
    with pytest.raises(BadInput, match="this model's 4 heads"):
        plan(spec_of(folder, pattern="heads:4"))
    with pytest.raises(BadInput, match="same number of heads"):
        plan(spec_of(folder, skip="*.k_proj"))
    with pytest.raises(ValueError, match="a head's columns go together"):
        spec_of(folder, "sparsegpt")
    whole = build(AutoConfig.for_model("llama", **FAMILIES["llama"] | {"num_key_value_heads": 4}))
    units = attention_heads(whole)
    assert (units.size, units.span, units.settings(2)) == (4, 1, {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8})
    with pytest.raises(BadInput, match="refuses 3 heads for its hidden size"):
        require_heads(whole, units, 3)


@pytest.mark.parametrize(("family", "pattern"), [("llama", "heads:2"), ("gpt2", "neurons:0.3")])
def test_taylor_takes_the_units_along_which_the_loss_has_the_least_slope(saved, family, pattern):
    folder = saved(family)
    spec = spec_of(folder, "taylor", pattern)
    result, journal = run(spec)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    units = shared_units(model, None, result.shape.unit)
    tokens = torch.from_numpy(np.load(folder / "windows.npy")[:8])
    block, weights = 0, {}
    for linear in (*units.blocks[block].makers, units.blocks[block].reader):
        weights[linear.name] = linear.weight.clone()

    @torch.no_grad()
    def loss(unit: int, scale: float) -> float:
        for linear in (*units.blocks[block].makers, units.blocks[block].reader):
            changed, reads = weights[linear.name].clone(), linear is units.blocks[block].reader
            mine = list(entries((unit,), units.width if reads else linear.rows // units.size))
            changed[(slice(None), mine) if reads else mine] *= scale
            linear.write(changed)
        logits = model(tokens, use_cache=False).logits[:, :-1]
        for linear in (*units.blocks[block].makers, units.blocks[block].reader):
            linear.write(weights[linear.name])
        return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()))

    slopes = torch.tensor([abs(loss(unit, 1 + 1e-4) - loss(unit, 1 - 1e-4)) / 2e-4 for unit in range(units.size)])
    gone = result.shape.gone[block]
    assert set(gone) == set(slopes.argsort()[: len(gone)].tolist())
    name = units.blocks[block].reader.name
    kept = list(entries(result.shape.kept_units(block), units.width))
    torch.testing.assert_close(journal.weights[name][:, kept].double(), weights[name][:, kept])  # as they are
    again, _ = run(spec_of(folder, "taylor", pattern, update="exact"))
    assert again.shape.gone == result.shape.gone
    reader = [next(layer for layer in found.layers if layer.name == name) for found in (again, result)]
    assert reader[0].relative_error == pytest.approx(reader[1].optimum_error, rel=0.05)
    assert reader[0].relative_error < reader[1].relative_error


def test_what_means_something_for_blocks_alone_is_refused_for_heads(saved):
    with pytest.raises(ValueError, match="for blocks alone"):
        RunSpec(method=make_method("taylor", greedy=True), pattern=parse_pattern("heads:2"))
