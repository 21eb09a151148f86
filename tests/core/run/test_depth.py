"""Whole blocks go: the run's numbers are those of transformers with the layers skipped, and the folder is that very model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from core.export.folder import save_checkpoint
from core.export.folder_journal import FolderJournal
from core.models.blocks import map_blocks
from core.models.loading import build
from core.models.shrinking import cut_config, require_same_blocks, without_blocks
from core.run.kept_blocks import BlockJournal
from core.run.pipeline import prune
from core.run.planning import plan
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from core.spec.errors import BadInput
from core.structures import left_out
from tests.core import families

BLOCKS = 4
SETTINGS = {family: {**settings, ("n_layer" if family == "gpt2" else "num_hidden_layers"): BLOCKS}
            for family, settings in families.FAMILIES.items()}


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    monkeypatch.setattr(families, "FAMILIES", SETTINGS)
    return lambda family: families.save_family(family, tmp_path)


def spec_of(folder, method="influence", pattern="blocks:2", parameters=None, **changes) -> RunSpec:
    source = f"windows:{folder / 'windows.npy'}"
    return RunSpec(model=folder.name, calibration=Calibration(source=source, windows=8), evaluation=Evaluation(source=source, windows=5),
                   method=make_method(method, **parameters or {}), pattern=parse_pattern(pattern), **changes)


def run(spec: RunSpec):
    *_, last = prune(spec)
    return last.result


def skipping(folder, gone) -> nn.Module:
    """The dense model of transformers whose blocks of `gone` pass their input on."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    for block in gone:
        module = map_blocks(model).blocks[block]
        module.register_forward_hook(lambda _, given, named, output: given[0] if isinstance(output, torch.Tensor) else
                                     (given[0], *output[1:]), with_kwargs=True)
    return model


@torch.no_grad()
def perplexity(model: nn.Module, folder, windows: int) -> float:
    tokens = torch.from_numpy(np.load(folder / "windows.npy")[:windows])
    logits = model(input_ids=tokens, use_cache=False).logits[:, :-1].double()
    return math.exp(float(nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())))


@pytest.mark.parametrize("family", SETTINGS)
def test_a_run_without_blocks_is_the_model_with_them_skipped_and_its_folder_is_that_model(saved, family, tmp_path):
    folder = saved(family)
    result = run(spec_of(folder))
    gone = result.shape.blocks
    assert len(gone) == 2
    assert result.pruned.perplexity == pytest.approx(perplexity(skipping(folder, gone), folder, 5), rel=1e-5)
    out = tmp_path / "out"
    save_checkpoint(result, {}, out)
    loaded = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    assert len(map_blocks(loaded).blocks) == loaded.config.num_hidden_layers == 2
    assert sum(parameter.numel() for parameter in loaded.parameters()) == result.shape.left
    dense = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    small = without_blocks(dense, map_blocks(dense), result.shape.kept(BLOCKS))
    tokens = torch.from_numpy(np.load(folder / "windows.npy")[:2])
    with torch.no_grad():
        for cached in (False, True):  # keys and values are kept by the block's own number
            assert torch.equal(loaded(tokens, use_cache=cached).logits, small(tokens, use_cache=cached).logits)
        torch.testing.assert_close(small(tokens).logits, skipping(folder, gone)(input_ids=tokens, use_cache=False).logits)
    assert (out / "model.safetensors").stat().st_size < (folder / "model.safetensors").stat().st_size


def test_influence_and_angles_are_those_of_the_hidden_states(saved):
    folder = saved("llama")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    tokens = torch.from_numpy(np.load(folder / "windows.npy")[:8])
    states = []
    for block in model.model.layers:
        block.register_forward_pre_hook(lambda _, given: states.append(given[0]))
        block.register_forward_hook(lambda _, given, output: states.append(output))
    with torch.no_grad():
        model(tokens, use_cache=False)
    before, after = states[::2], states[1::2]
    influence = run(spec_of(folder)).shape
    for block in range(BLOCKS):
        cos = torch.cosine_similarity(before[block], after[block], dim=-1)
        assert influence.scores[block] == pytest.approx(1 - float(cos.mean()), abs=1e-6)
    angular = run(spec_of(folder, "angular")).shape
    for first in range(BLOCKS - 1):
        cos = torch.cosine_similarity(before[first], after[first + 1], dim=-1)
        assert angular.scores[first] == pytest.approx(float(cos.arccos().mean()) / math.pi, abs=1e-6)
    best = min(angular.scores, key=angular.scores.__getitem__)
    assert angular.blocks == (best, best + 1)


def test_perplexity_left_out_is_that_of_the_model_without_the_block_and_greedy_goes_on_from_there(saved):
    folder = saved("llama")
    shape = run(spec_of(folder, "left-out", parameters={"greedy": True})).shape
    alone = {block: perplexity(skipping(folder, [block]), folder, 8) for block in range(BLOCKS)}
    assert shape.scores == pytest.approx(alone, rel=1e-5)
    first = min(alone, key=alone.__getitem__)
    pairs = {block: perplexity(skipping(folder, [first, block]), folder, 8) for block in range(BLOCKS) if block != first}
    assert shape.blocks == (first, min(pairs, key=pairs.__getitem__))


def test_taylor_is_the_finite_difference_of_the_loss(saved):
    folder = saved("gpt2")  # whose matrices lie the other way round
    shape = run(spec_of(folder, "taylor", parameters={"keep_first": 0, "keep_last": 0})).shape
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    layer = model.transformer.h[1].attn.c_proj.weight
    matrices = [linear.layer.weight for linear in map_blocks(model).linears[1]]
    tokens = torch.from_numpy(np.load(folder / "windows.npy")[:8])

    def loss() -> torch.Tensor:
        logits = model(tokens, use_cache=False).logits[:, :-1]
        return nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())

    gradients = torch.autograd.grad(loss(), matrices)
    expected = sum(float((w * g).detach().abs().sum()) for w, g in zip(matrices, gradients, strict=True))
    assert shape.scores[1] == pytest.approx(expected, rel=1e-4)
    gradient = gradients[[weight is layer for weight in matrices].index(True)]
    with torch.no_grad():
        for i, j in ((0, 0), (3, 17), (20, 5)):
            step = 1e-4
            layer[i, j] += step
            up = loss()
            layer[i, j] -= 2 * step
            slope = float(up - loss()) / (2 * step)
            layer[i, j] += step
            assert float(gradient[i, j]) == pytest.approx(slope, rel=1e-4, abs=1e-8)


def test_blocks_that_must_stay_stay(saved):
    folder = saved("llama")
    assert not set(run(spec_of(folder, skip="2.*, 3.mlp.up_proj")).shape.blocks) & {2, 3}
    assert not set(run(spec_of(folder, "taylor", "blocks:2")).shape.blocks) & {0, 3}  # the first and last quarter
    with pytest.raises(BadInput, match="at most 1 blocks of this model's 4, of which 3 must stay"):
        run(spec_of(folder, pattern="blocks:0.5", skip="1.*,2.*,3.*"))
    with pytest.raises(BadInput, match="consecutive blocks"):
        run(spec_of(folder, "angular", "blocks:2", skip="1.*,3.*"))
    with pytest.raises(BadInput, match="at most 3 blocks"):
        plan(spec_of(folder, pattern="blocks:4"))


def test_record_and_plan_count_what_is_gone(saved):
    folder = saved("opt")
    spec = spec_of(folder, pattern="blocks:0.5")
    made, result = plan(spec), run(spec)
    assert (made.shape.count, made.removed, made.left) == (2, result.shape.removed, result.shape.left)
    assert made.sparsity == result.counted_sparsity == 0.5
    assert {layer.block for layer in result.layers if layer.counted_sparsity == 1} == set(result.shape.blocks)
    assert type(result).model_validate_json(result.model_dump_json()) == result
    dense = run(spec_of(folder, pattern="blocks:0"))
    assert dense.pruned.losses == dense.dense.losses
    assert dense.shape.blocks == ()


def test_a_family_whose_blocks_follow_from_their_number_is_refused_with_the_reason():
    config = AutoConfig.for_model("qwen2_moe", **SETTINGS["llama"], num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16,
                                  shared_expert_intermediate_size=16, decoder_sparse_step=2)
    model = build(config)
    with pytest.raises(BadInput, match="Block 1 would become block 0"):
        require_same_blocks(model, build(cut_config(config, (1, 3), BLOCKS)), "model.layers", (1, 3))
    require_same_blocks(model, build(cut_config(config, (0, 1), BLOCKS)), "model.layers", (0, 1))


def test_lists_with_an_entry_a_block_are_cut_with_them():
    config = AutoConfig.for_model("qwen3", **SETTINGS["qwen3"], layer_types=["full_attention", "sliding_attention"] * 2, sliding_window=4,
                                  use_sliding_window=True)
    cut = cut_config(config, (1, 2), BLOCKS)
    assert cut.layer_types == ["sliding_attention", "full_attention"]
    assert cut.num_hidden_layers == 2
    assert len(config.layer_types) == BLOCKS


@pytest.mark.parametrize("kind", [BlockJournal, lambda folder: FolderJournal(folder, RunSpec(), shards=False)])
def test_finished_rounds_of_scores_come_from_the_journal_with_the_same_outcome(saved, tmp_path, monkeypatch, kind):
    spec = spec_of(saved("llama"), "left-out", parameters={"greedy": True})
    journal = kind(tmp_path / "journal")
    *_, last = prune(spec, journal=journal)
    whole, rounds = last.result, [journal.read(number).scored for number in range(2)]
    assert [scored.removed[0] for scored in rounds] == list(whole.shape.blocks)
    assert rounds[0].scores == whole.shape.scores
    assert len(rounds[1].scores) == BLOCKS - 1
    assert journal.read(2) is None
    assert dict(journal.weights) == {}
    asked, real = [], left_out.score

    def score(stream, tokens, left, count, room):
        asked.append(tuple(left))
        return real(stream, tokens, left, count, room)

    monkeypatch.setattr(left_out, "score", score)
    begun = kind(tmp_path / "begun")
    begun.write(0, journal.read(0))
    for resumed, expected in ((journal, []), (begun, [tuple(block for block in range(BLOCKS) if block != whole.shape.blocks[0])])):
        asked.clear()
        *_, last = prune(spec, journal=resumed)
        assert asked == expected
        assert (last.result.shape, last.result.pruned) == (whole.shape, whole.pruned)
