"""Error propagation: against least squares, and in a run against transformers' own activations."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from core.export.folder import MemoryJournal
from core.run.journal import BlockState
from core.run.pipeline import prune
from core.run.propagation import correction
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from core.spec.errors import IllConditioned
from tests.core.families import save_family


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_the_corrected_weights_are_the_least_squares_answer(strength):
    """At θ = 1 W* is nearest to the dense outputs, with λ·mean(diag G) on what it moves; θ goes a part of that way."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(9, 50)) * np.linspace(0.3, 3, 9)[:, None]
    seen = inputs + 0.4 * generator.normal(size=(9, 9)) @ inputs
    weight = generator.normal(size=(5, 9))
    ridge = np.sqrt(0.01 * np.mean(np.sum(seen**2, 1)))
    change = np.linalg.lstsq(np.vstack([seen.T, ridge * np.eye(9)]), np.vstack([(weight @ (inputs - seen)).T, np.zeros((9, 5))]))[0].T
    gram, cross = (torch.from_numpy(matrix) for matrix in (seen @ seen.T, inputs @ seen.T))
    found = torch.from_numpy(weight) @ correction(gram, cross, strength, layer="x")
    np.testing.assert_allclose(found.numpy(), strength * change, atol=1e-10)


def test_inputs_without_energy_move_nothing_and_broken_ones_are_told():
    gram = torch.diag(torch.tensor([2.0, 0.0, 1.0]))
    cross = gram.clone()
    cross[0, 2] = 0.5
    found = correction(gram, cross, 1.0, layer="x")
    assert found[:, 1].abs().max() == 0
    assert found[0, 2] > 0
    with pytest.raises(IllConditioned, match=r"layers\.1\.k_proj"):
        correction(torch.tensor([[1.0, 3.0], [3.0, 1.0]]), torch.eye(2), 1.0, layer="layers.1.k_proj")


def inputs_of(model, name: str, tokens: torch.Tensor) -> torch.Tensor:
    """What a linear layer of a model reads [b, tokens], float64."""
    seen: list[torch.Tensor] = []
    layer = model.get_submodule(name)
    hook = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(0, -2).T.double()))
    with torch.no_grad():
        model(input_ids=tokens)
    hook.remove()
    return torch.cat(seen, 1)


def spec_of(folder, **changes) -> RunSpec:
    source = f"windows:{folder / 'windows.npy'}"
    usual = {"method": make_method("wanda"), "pattern": parse_pattern("0.6"), "propagation": 0.5}
    return RunSpec(model=folder.name, calibration=Calibration(source=source, windows=8), evaluation=Evaluation(source=source, windows=5),
                   **{**usual, **changes})


def weights_of(spec: RunSpec) -> dict[str, torch.Tensor]:
    journal = MemoryJournal()
    *_, _ = prune(spec, journal=journal)
    return dict(journal.weights)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    return save_family("llama", tmp_path)


@pytest.mark.parametrize(("layer", "sequential"), [
    ("model.layers.1.self_attn.v_proj", False), ("model.layers.1.mlp.down_proj", False),
    ("model.layers.0.mlp.down_proj", True), ("model.layers.1.self_attn.o_proj", True)])
def test_a_run_aims_at_the_dense_model(layer, sequential, folder):
    """Wanda leaves what it keeps as it is: so kept weights show W*, here from both models' activations by transformers alone."""
    found = weights_of(spec_of(folder, true_sequential=sequential))
    tokens = torch.from_numpy(np.load(folder / "windows.npy")[:8])
    order = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
             "mlp.down_proj"]
    dense = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    pruned = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    block, module = int(layer.split(".")[2]), layer.split(".", 3)[3]
    before = [f"model.layers.{b}.{name}" for b in range(block) for name in order]
    if sequential:  # what runs before it; q, k and v, and gate and up, read the same and are pruned together
        before += [f"model.layers.{block}.{name}" for name in order[: order.index(module)]]
    for name in before:
        pruned.get_submodule(name).weight.data.copy_(found[name])
    real, seen = inputs_of(dense, layer, tokens), inputs_of(pruned, layer, tokens)
    gram = seen @ seen.T
    damped = gram + 0.01 * gram.diagonal().mean() * torch.eye(len(gram))
    weight = dense.get_submodule(layer).weight.data.double()
    aim = weight + 0.5 * torch.linalg.solve(damped, (real @ seen.T - gram).T @ weight.T).T
    kept = found[layer] != 0
    assert 0.3 < kept.double().mean() < 0.5
    assert (aim - weight).norm() > 0.01 * weight.norm()
    torch.testing.assert_close(found[layer][kept].double(), aim[kept], rtol=1e-3, atol=2e-4 * float(weight.abs().max()))


def test_nothing_is_inherited_in_the_first_block_or_where_nothing_was_pruned(folder):
    plain, corrected = weights_of(spec_of(folder, propagation=0.0)), weights_of(spec_of(folder))
    same = {name for name, weight in plain.items() if torch.equal(weight, corrected[name])}
    assert same == {name for name in plain if ".layers.0." in name}
    dense = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    whole = weights_of(spec_of(folder, pattern=parse_pattern("0"), propagation=1.0))
    for name, weight in whole.items():
        torch.testing.assert_close(weight, dense.get_submodule(name).weight.data, rtol=1e-4, atol=1e-5)


def test_a_continued_run_has_the_same_bits(folder):
    class Cut(MemoryJournal):
        def read(self, block: int) -> BlockState | None:
            return first.read(block) if block == 0 else None

    first, second = MemoryJournal(), Cut()
    spec = spec_of(folder, method=make_method("thanos", block_size=16))
    *_, whole = prune(spec, journal=first)
    *_, continued = prune(spec, journal=second)
    assert continued.result.resumed_blocks == 1
    assert continued.result.pruned == whole.result.pruned
    assert all(torch.equal(weight, first.weights[name]) for name, weight in second.weights.items())
