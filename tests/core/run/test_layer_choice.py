"""Layers that are skipped stay as they are to the bit; layers with a sparsity of their own have it; what matches nothing is refused."""

from __future__ import annotations

import pytest
import torch

from cache.keys import run_key
from core.export.folder import MemoryJournal, save_checkpoint
from core.models.blocks import map_blocks
from core.models.loading import load_model
from core.models.sources import resolve_model
from core.records import Revisions, RunResult
from core.run.pipeline import prune
from core.run.planning import plan
from core.spec import Calibration, Evaluation, RunSpec, parse_pattern
from core.spec.errors import BadInput
from core.spec.flags import command_line, read_words, to_words
from core.spec.methods import SparseGPT
from tests.core.families import save_family

REVISIONS = Revisions(model="m", calibration="c", evaluation="e", method=1, core=1)


@pytest.fixture
def spec(tmp_path, monkeypatch) -> RunSpec:
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    monkeypatch.setenv("PRUNESCOPE_TEXTS", str(tmp_path))
    save_family("llama", tmp_path)
    return RunSpec(model="llama", method=SparseGPT(), pattern=parse_pattern("0.5"), device="cpu", skip="*.v_proj, 1.mlp.*",
                   layer_sparsity="*.q_proj=30% 0.self_attn.q_proj=0.7", propagation=0.5,
                   calibration=Calibration(source="windows:llama/windows.npy", windows=6),
                   evaluation=Evaluation(source="windows:llama/windows.npy", windows=3))


@pytest.mark.parametrize("true_sequential", [False, True])
def test_a_run_does_to_each_layer_what_was_asked(spec, true_sequential, tmp_path):
    spec = spec.model_copy(update={"true_sequential": true_sequential})
    planned = {layer.name: layer for layer in plan(spec).layers}
    journal = MemoryJournal()
    result = next(event.result for event in prune(spec, journal=journal) if event.kind == "finished")
    assert isinstance(result, RunResult)
    assert {layer.name for layer in result.layers} == set(planned) == set(journal.weights)
    assert len(planned) == 14 - 2 - 3
    expected = {"model.layers.0.self_attn.q_proj": 0.7, "model.layers.1.self_attn.q_proj": 0.3}
    for layer in result.layers:
        assert round(layer.counted_sparsity * layer.parameters) == planned[layer.name].pruned
        assert layer.counted_sparsity == pytest.approx(expected.get(layer.name, 0.5), abs=0.002)
    assert "5 of 14 layers are skipped and stay dense." in (plan(spec).note or "")
    save_checkpoint(result, journal.weights, tmp_path / "out")
    dense = map_blocks(load_model(resolve_model("llama")))
    pruned = map_blocks(load_model(resolve_model("out")))
    for before, after in zip(sum(dense.linears, ()), sum(pruned.linears, ()), strict=True):
        assert torch.equal(before.weight, after.weight) == (before.name not in planned), before.name


def test_a_block_without_layers_is_passed_with_its_dense_activations(spec):
    spec = spec.model_copy(update={"skip": "0.*", "layer_sparsity": "", "true_sequential": True})
    result = next(event.result for event in prune(spec) if event.kind == "finished")
    assert {layer.block for layer in result.layers} == {1}


@pytest.mark.parametrize(("changes", "words"), [
    ({"skip": "*.w_proj"}, r"skip.*'\*\.w_proj'.*There are 14: model\.layers\.0\.self_attn\.q_proj.*blocks 0 to 1.*mlp\.down_proj"),
    ({"skip": "*"}, "leave some of the 14 layers"),
    ({"layer_sparsity": "*.v_proj=0.3"}, r"\*\.v_proj"),
])
def test_a_pattern_that_names_nothing_is_refused_with_what_there_is(spec, changes, words):
    with pytest.raises(BadInput, match=words):
        plan(spec.model_copy(update=changes))


@pytest.mark.parametrize("changes", [{"layer_sparsity": "*.q_proj"}, {"layer_sparsity": "*=1"},
                                     {"layer_sparsity": "*=0.3", "allocation": "marginal"},
                                     {"layer_sparsity": "*=0.3", "pattern": parse_pattern("2:4")}])
def test_what_makes_no_sense_is_refused_in_the_request(changes):
    with pytest.raises(ValueError, match=r"[Ll]ayer.[Ss]parsity|Sparsity by layer"):
        RunSpec(**changes)


def test_words_links_and_keys(spec):
    words = to_words(spec)
    assert words["skip"] == "*.v_proj,1.mlp.*"
    assert words["layer_sparsity"] == "*.q_proj=0.3,0.self_attn.q_proj=0.7"
    again, refused = read_words(words)
    assert again == spec
    assert not refused
    assert "--skip '*.v_proj,1.mlp.*' --layer-sparsity '*.q_proj=0.3,0.self_attn.q_proj=0.7'" in command_line(spec)
    assert run_key(spec, REVISIONS) != run_key(spec.model_copy(update={"skip": ""}), REVISIONS)
    # as before there were these fields
    assert run_key(RunSpec(), REVISIONS) == "779b98f4d9ff351ee40570c16c127e48b681a24fa8032ed3f7e5ddf6a13b4a50"
