"""Neurons go: zeros in rows and columns are the smaller model, kept columns are least squares, and the folder loads in transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from core.export.folder import save_checkpoint
from core.models.loading import build
from core.models.neurons import mlp_units
from core.models.shrinking import shrunk
from core.run.pipeline import prune
from core.run.planning import plan
from core.spec import RunSpec
from core.spec.errors import BadInput
from tests.core.families import FAMILIES, save_family
from tests.core.run.smaller import run, small_spec

NEURONS, LEFT = 72, 48  # 0.7 · 72 = 50.4: the nearest multiple of 8
SETTING = {"opt": "ffn_dim", "gpt2": "n_inner"}


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    return lambda family: save_family(family, tmp_path)


def spec_of(folder, method="thanos", pattern="neurons:0.3", **changes) -> RunSpec:
    return small_spec(folder, method, pattern, **changes)


def matrix(module: torch.nn.Module) -> torch.Tensor:
    """The weight [out, in] of a layer of transformers."""
    return module.weight.T if isinstance(module, Conv1D) else module.weight


@pytest.mark.parametrize("family", FAMILIES)
def test_the_folder_is_the_run_with_zeros_and_loads_as_it_is(saved, family, tmp_path):
    folder = saved(family)
    result, journal = run(spec_of(folder))
    shape = result.shape
    assert {len(gone) for gone in shape.neurons.values()} == {NEURONS - LEFT}
    zeros = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    for name, weight in journal.weights.items():
        matrix(zeros.get_submodule(name)).data.copy_(weight)
    dense = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    out = tmp_path / "out"
    save_checkpoint(result, journal.weights, out)
    loaded = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    assert getattr(loaded.config, SETTING.get(family, "intermediate_size")) == LEFT
    assert sum(parameter.numel() for parameter in loaded.parameters()) == shape.left
    small = shrunk(dense, shape, journal.weights)
    tokens = torch.from_numpy(np.load(folder / "windows.npy")[:3])
    with torch.no_grad():
        logits = loaded(tokens).logits
        assert torch.equal(small(tokens).logits, logits)
        torch.testing.assert_close(zeros(tokens).logits, logits, rtol=1e-4, atol=1e-5)


def test_kept_columns_are_least_squares_and_what_does_not_read_neurons_stays(saved):
    folder = saved("llama")
    result, journal = run(spec_of(folder))
    units = mlp_units(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32))
    dense = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    seen: list[torch.Tensor] = []
    reader = units.blocks[0].reader.name
    dense.get_submodule(reader).register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(0, 1)))
    with torch.no_grad():
        dense(torch.from_numpy(np.load(folder / "windows.npy")[:8]))
    inputs = seen[0].double()
    gram = inputs.T @ inputs
    hessian = gram + 0.01 * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    weight, found = dense.get_submodule(reader).weight.double(), journal.weights[reader].double()
    gone, kept = list(result.shape.neurons[0]), list(result.shape.kept_units(0))
    expected = weight[:, kept] + weight[:, gone] @ hessian[gone][:, kept] @ torch.linalg.inv(hessian[kept][:, kept])
    torch.testing.assert_close(found[:, kept], expected, rtol=1e-3, atol=1e-4)
    losses = weight.square().sum(0) * gram.diagonal()
    assert set(gone) == set(losses.argsort()[: NEURONS - LEFT].tolist())
    assert not found[:, gone].any()
    for name, changed in journal.weights.items():
        if name not in units.names:
            assert torch.equal(changed, dense.get_submodule(name).weight)


def test_records_and_plan_count_what_is_gone_and_a_rerun_from_the_journal_is_the_same(saved):
    folder = saved("opt")
    spec = spec_of(folder, "wanda")
    made = plan(spec)
    result, journal = run(spec)
    assert (made.removed, made.left) == (result.shape.removed, result.shape.left)
    assert made.sparsity == pytest.approx(result.counted_sparsity)
    layer = next(layer for layer in result.layers if layer.name.endswith("fc1"))
    assert layer.counted_sparsity == (NEURONS - LEFT) / NEURONS
    assert 0 < layer.relative_error == layer.optimum_error < 1
    *_, again = prune(spec, journal=journal)
    assert again.result.resumed_blocks == 2
    assert again.result.shape == result.shape
    assert again.result.pruned.losses == result.pruned.losses
    assert [one.relative_error for one in again.result.layers] == [one.relative_error for one in result.layers]


def test_what_cannot_be_is_refused_with_the_reason(saved):
    folder = saved("llama")
    with pytest.raises(BadInput, match="Every block keeps the same number of neurons"):
        plan(spec_of(folder, skip="*.up_proj"))
    with pytest.raises(BadInput, match="leaves a multiple of 8"):
        plan(spec_of(folder, pattern="neurons:0.01"))
    with pytest.raises(ValueError, match="a column goes as a whole"):
        spec_of(folder, "dsnot")
    with pytest.raises(ValueError, match="one size for all"):
        spec_of(folder, layer_sparsity="*.down_proj=0.1")
    with pytest.raises(BadInput, match="several matrices in one"):
        mlp_units(build(AutoConfig.for_model("phi3", **FAMILIES["llama"], pad_token_id=0)))
    with pytest.raises(BadInput, match=r"no number of neurons|an expert|has no MLP"):
        mlp_units(build(AutoConfig.for_model("mixtral", **FAMILIES["llama"], num_local_experts=2)))
