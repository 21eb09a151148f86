"""Block reconstruction: what it reports is what transformers computes with its weights, and it only ever makes a block's output better."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from core.export.folder import MemoryJournal
from core.models.blocks import map_blocks
from core.run.journal import BlockState
from core.run.pipeline import prune
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from tests.core.families import save_family

WINDOWS, HELD_OUT = 12, 1


def spec_of(folder, **changes) -> RunSpec:
    source = f"windows:{folder / 'windows.npy'}"
    usual = {"method": make_method("wanda"), "pattern": parse_pattern("0.6"), "reconstruct": 3}
    return RunSpec(model=folder.name, calibration=Calibration(source=source, windows=WINDOWS), evaluation=Evaluation(source=source),
                   **{**usual, **changes})


def pruned(spec: RunSpec):
    journal = MemoryJournal()
    *_, end = prune(spec, journal=journal)
    return end.result, dict(journal.weights)


def behind_blocks(folder, weights: dict[str, torch.Tensor], tokens: torch.Tensor) -> list[torch.Tensor]:
    """The outputs of the blocks, by transformers alone, with these weights in place of the checkpoint's."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for name, weight in weights.items():
        module = model.get_submodule(name)
        module.weight.data.copy_(weight.T if isinstance(module, Conv1D) else weight)
    seen: list[torch.Tensor] = []
    for block in map_blocks(model).blocks:
        block.register_forward_hook(lambda _, given, output: seen.append(output if isinstance(output, torch.Tensor) else output[0]))
    with torch.no_grad():
        model(input_ids=tokens)
    return seen


def relative(found: torch.Tensor, aim: torch.Tensor) -> float:
    return float((found - aim).square().sum() / aim.square().sum())


@pytest.fixture(params=["llama", "gpt2"])  # GPT-2 stores its matrices the other way round
def folder(request, tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    return save_family(request.param, tmp_path)


@pytest.mark.parametrize("aim", ["model", "block"])
def test_what_is_told_is_what_the_weights_do_on_the_windows_held_out(folder, aim):
    result, weights = pruned(spec_of(folder, reconstruct_aim=aim))
    _, plain = pruned(spec_of(folder, reconstruct=0))
    tokens = torch.from_numpy(np.load(folder / "windows.npy")[WINDOWS - HELD_OUT:WINDOWS])
    first, others = result.reconstruction[0], result.reconstruction
    assert [(one.block, one.windows, one.held_out, one.passes) for one in others] == [
        (block, WINDOWS - HELD_OUT, HELD_OUT, 3) for block in range(len(others))]
    assert all(one.kept and one.after < one.before for one in others), "a step in the wrong direction would have been left out"
    assert "3 passes over 11 windows; on 1 more" in result.reconstruction_words
    dense = behind_blocks(folder, {}, tokens)[0]
    for found, told in ((plain, first.before), (weights, first.after)):
        assert told == pytest.approx(relative(behind_blocks(folder, found, tokens)[0], dense), rel=1e-3)


@pytest.mark.parametrize("aim", ["model", "block"])
def test_a_later_block_aims_at_the_dense_model_or_at_the_dense_block(folder, aim):
    result, weights = pruned(spec_of(folder, reconstruct_aim=aim))
    tokens = torch.from_numpy(np.load(folder / "windows.npy")[WINDOWS - HELD_OUT:WINDOWS])
    before = {name: weight for name, weight in weights.items() if ".0." in name} if aim == "block" else {}
    goal, made = behind_blocks(folder, before, tokens)[1], behind_blocks(folder, weights, tokens)[1]
    assert result.reconstruction[1].after == pytest.approx(relative(made, goal), rel=1e-3)


def test_zeros_stay_zeros(folder):
    """Of the first block; the others read other inputs."""
    plain, solved = pruned(spec_of(folder, reconstruct=0))
    better, trained = pruned(spec_of(folder))
    assert all(torch.equal(solved[name] == 0, trained[name] == 0) for name in solved if ".0." in name)
    assert better.counted_sparsity == plain.counted_sparsity
    assert sum(int((weight == 0).sum()) for weight in trained.values()) == sum(int((weight == 0).sum()) for weight in solved.values())
    assert not plain.reconstruction


def test_without_zeros_nothing_moves(folder):
    result, weights = pruned(spec_of(folder, pattern=parse_pattern("0")))
    _, dense = pruned(spec_of(folder, pattern=parse_pattern("0"), reconstruct=0))
    assert all(one.before < 1e-10 for one in result.reconstruction)
    assert all(torch.allclose(weights[name], dense[name], atol=1e-6) for name in dense)


def test_a_continued_run_has_the_same_bits(folder):
    class Cut(MemoryJournal):
        def read(self, block: int) -> BlockState | None:
            return first.read(block) if block == 0 else None

    first, second = MemoryJournal(), Cut()
    *_, whole = prune(spec_of(folder), journal=first)
    *_, continued = prune(spec_of(folder), journal=second)
    assert continued.result.resumed_blocks == 1
    assert continued.result.pruned == whole.result.pruned
    told = [[one.model_copy(update={"seconds": 0.0}) for one in end.result.reconstruction] for end in (whole, continued)]
    assert told[0] == told[1]


def test_one_window_cannot_be_trained_on_and_watched():
    with pytest.raises(ValueError, match="at least 2 calibration windows"):
        RunSpec(reconstruct=2, calibration=Calibration(windows=1))


def test_without_training_its_aim_is_no_other_run():
    assert RunSpec(reconstruct_aim="block") == RunSpec()
