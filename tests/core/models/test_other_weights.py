"""Folders that hold more than one model's weights, or another kind's: only the inspected files are opened, the rest is told or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2ForSequenceClassification

from core.cli.output import show
from core.models.blocks import map_blocks
from core.models.loading import load_model
from core.models.sources import list_models, resolve_model, unusable_models
from core.records import RunResult
from core.run.pipeline import prune
from core.run.planning import plan
from core.spec import Calibration, Evaluation, RunSpec, make_method
from core.spec.errors import BadInput
from tests.core.families import save_family

BASE = "meta-llama/Llama-3.2-1B"


def add_adapter(folder: Path) -> None:
    """The files of a LoRA adapter for the folder's LLaMA, as peft writes them; its matrices are far from zero."""
    words = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"],
             "base_model_name_or_path": BASE}
    (folder / "adapter_config.json").write_text(json.dumps(words))
    stem = "base_model.model.model.layers.{}.self_attn.q_proj.lora_{}.weight"
    save_file({stem.format(layer, side): torch.ones(2, 32) if side == "A" else torch.ones(32, 2) for layer in (0, 1) for side in "AB"},
              folder / "adapter_model.safetensors")


@pytest.fixture
def llama(models: Path) -> Path:
    return save_family("llama", models)


def spec_of(folder: Path) -> RunSpec:
    source = f"windows:{folder / 'windows.npy'}"
    return RunSpec(model=folder.name, calibration=Calibration(source=source, windows=8), method=make_method("magnitude"),
                   evaluation=Evaluation(source=source, windows=5))


def refusal(name: str) -> str:
    with pytest.raises(BadInput) as caught:
        resolve_model(name)
    return str(caught.value)


def test_an_adapter_beside_a_model_is_left_alone_and_told(llama: Path) -> None:
    alone = dict(load_model(resolve_model("llama")).named_parameters())
    add_adapter(llama)
    model = load_model(resolve_model("llama"))
    assert dict(model.named_parameters()).keys() == alone.keys()
    assert all(torch.equal(parameter, alone[name]) for name, parameter in model.named_parameters())
    assert len(map_blocks(model).linears[0]) == 7
    by_transformers = AutoModelForCausalLM.from_pretrained(llama)  # the fault: more is loaded than was inspected
    assert any("lora_A" in name for name, _ in by_transformers.named_modules())
    (note,) = resolve_model("llama").notes
    assert "adapter (adapter_config.json, adapter_model.safetensors) is not applied" in note
    assert "merge_and_unload" in note


def test_the_note_is_in_plan_and_record_and_on_the_command_line(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(llama / "windows.npy", np.random.default_rng(0).integers(3, 96, (12, 24)))
    add_adapter(llama)
    note = resolve_model("llama").notes[0]
    assert note in (plan(spec_of(llama)).note or "")
    *_, last = prune(spec_of(llama))
    assert last.kind == "finished"
    assert last.result.notes == (note,)
    assert RunResult.model_validate_json(last.result.model_dump_json()) == last.result
    show(last.result)
    assert f"note              {note}" in capsys.readouterr().out


@pytest.mark.parametrize("configured", [True, False], ids=["config", "no config"])
def test_an_adapter_alone_is_refused_with_its_base_and_what_to_do(llama: Path, configured: bool) -> None:
    add_adapter(llama)
    (llama / "model.safetensors").unlink()
    if not configured:
        (llama / "config.json").unlink()
    words = refusal("llama")
    assert BASE in words
    assert "merge_and_unload().save_pretrained" in words
    assert {model.name: model.reason for model in unusable_models()}["llama"] == words


def rewritten(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        file = folder / "model.safetensors"
        tensors = load_file(file)
        change(tensors)
        save_file(tensors, file, metadata={"format": "pt"})

    return rewrite


def adding(key: str, tensor: torch.Tensor) -> Callable[[Path], None]:
    return rewritten(lambda tensors: tensors.update({key: tensor}))


Q = "model.layers.0.self_attn.q_proj"
OTHER_KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "unmerged LoRA": (adding(f"{Q}.lora_A.default.weight", torch.zeros(2, 32)), "not merged.*merge_and_unload"),
    "base layers": (rewritten(lambda tensors: tensors.update({f"{Q}.base_layer.weight": tensors.pop(f"{Q}.weight")})), "not merged"),
    "GPTQ": (adding(f"{Q}.qweight", torch.zeros(4, 32, dtype=torch.int32)), "quantized.*qweight.*I32"),
    "bitsandbytes": (adding(f"{Q}.weight", torch.zeros(512, 1, dtype=torch.uint8)), "quantized.*U8"),
    "FP8": (adding(f"{Q}.weight", torch.zeros(32, 32).to(torch.float8_e4m3fn)), "quantized.*F8_E4M3"),
    "reward head": (adding("score.weight", torch.zeros(1, 32)), "another task .score.weight"),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_weights_of_another_kind_are_refused_before_anything_is_loaded(llama: Path, kind: str) -> None:
    change, words = OTHER_KINDS[kind]
    change(llama)
    with pytest.raises(BadInput, match=words):
        resolve_model("llama")
    assert "llama" not in [model.name for model in list_models()]


def test_a_classifier_with_a_tied_head_is_no_language_model(models: Path) -> None:
    config = GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=64, pad_token_id=0)
    GPT2ForSequenceClassification(config).save_pretrained(models / "judge")
    assert "head of another task (score.weight)" in refusal("judge")


def test_one_file_comes_before_shards_and_the_others_are_named(llama: Path) -> None:
    kept = load_file(llama / "model.safetensors")
    shard = "model-00001-of-00001.safetensors"
    save_file({key: torch.zeros_like(tensor) for key, tensor in kept.items()}, llama / shard)
    (llama / "model.safetensors.index.json").write_text(json.dumps({"weight_map": dict.fromkeys(kept, shard)}))
    (llama / "pytorch_model.bin").write_bytes(b"a pickle")
    for name in ("training_args.bin", "optimizer.pt"):
        (llama / name).write_bytes(b"no weights")
    model = load_model(resolve_model("llama"))
    assert torch.equal(model.model.norm.weight, kept["model.norm.weight"])
    assert resolve_model("llama").notes == (
        f"The folder holds other weights that are not opened ({shard}, pytorch_model.bin): the model is in model.safetensors.",)


def test_the_file_that_the_configuration_names_is_inspected_and_opened(llama: Path) -> None:
    other = load_file(llama / "model.safetensors")
    other["model.norm.weight"] = torch.full((32,), 3.0)
    save_file(other, llama / "second.safetensors", metadata={"format": "pt"})
    before = resolve_model("llama").revision
    config = json.loads((llama / "config.json").read_text())
    (llama / "config.json").write_text(json.dumps({**config, "transformers_weights": "second.safetensors"}))
    source = resolve_model("llama")
    assert source.revision != before
    assert float(load_model(source).model.norm.weight[0]) == 3.0
    for outside in ("../llama/second.safetensors", "second.bin"):
        (llama / "config.json").write_text(json.dumps({**config, "transformers_weights": outside}))
        assert "no safetensors file beside it" in refusal("llama")


def test_a_distributed_checkpoint_in_the_folder_is_not_opened(llama: Path) -> None:
    kept = load_model(resolve_model("llama")).model.norm.weight
    other = {key: torch.zeros_like(tensor) for key, tensor in load_file(llama / "model.safetensors").items()}
    save_file(other, llama / "shard-00001-model-00001-of-00001.safetensors")
    (llama / ".metadata").write_bytes(b"a pickle")
    assert torch.equal(load_model(resolve_model("llama")).model.norm.weight, kept)
