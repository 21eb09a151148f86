"""Loading checkpoints and skeletons: exact, frozen, silent, or an error that names what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.utils import logging as transformers_logging

from core.models.blocks import map_blocks, parameter_count
from core.models.loading import load_model, load_skeleton
from core.models.sources import resolve_model
from core.spec.errors import BadInput
from tests.core.models.tiny import every_family, tiny


def saved(root: Path, family: str, dtype: torch.dtype = torch.float32) -> Path:
    folder = root / family
    tiny(family).to(dtype).save_pretrained(folder)
    return folder


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


@pytest.mark.parametrize("family", ["llama", "llama-tied", "gpt2", "opt", "gemma2"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_loaded_as_float32_frozen_and_exact(models: Path, family: str, dtype: torch.dtype) -> None:
    saved(models, family, dtype)
    model = load_model(resolve_model(family))
    expected = dict(tiny(family).named_parameters())
    assert not model.training
    for name, parameter in model.named_parameters():
        assert parameter.dtype == torch.float32
        assert parameter.device.type == "cpu"
        assert not parameter.requires_grad
        assert torch.equal(parameter, expected[name].to(dtype).float()), name


def test_another_dtype_on_request(models: Path) -> None:
    saved(models, "llama")
    assert load_model(resolve_model("llama"), dtype=torch.bfloat16).dtype == torch.bfloat16


def test_soft_capped_attention_runs_eagerly_and_others_by_sdpa(models: Path) -> None:
    saved(models, "gemma2")
    saved(models, "llama")
    assert load_model(resolve_model("gemma2")).config._attn_implementation == "eager"
    assert load_model(resolve_model("llama")).config._attn_implementation == "sdpa"


def test_writing_into_a_loaded_model_leaves_the_file_alone(models: Path) -> None:
    folder = saved(models, "llama")
    before = (folder / "model.safetensors").read_bytes()
    model = load_model(resolve_model("llama"))
    for linears in map_blocks(model).linears:
        for linear in linears:
            linear.write(torch.zeros_like(linear.weight))
    assert (folder / "model.safetensors").read_bytes() == before


def rewrite(folder: Path, change: Any) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


UP = "model.layers.1.mlp.up_proj.weight"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors: tensors.pop(UP), f"no weights for {UP}"),
        (lambda tensors: tensors.pop("lm_head.weight"), "no weights for lm_head.weight"),
        (lambda tensors: tensors.update({"model.layers.7.extra.weight": torch.zeros(2, 2)}), "lacks: model.layers.7.extra.weight"),
        (lambda tensors: tensors.update({"model.norm.weight": torch.zeros(31)}), "other shapes for .*model.norm.weight"),
    ],
    ids=["missing", "no-head", "left-over", "shape"],
)
def test_a_checkpoint_that_does_not_fit_is_an_error(models: Path, change: Any, words: str) -> None:
    rewrite(saved(models, "llama"), change)
    with pytest.raises(BadInput, match=words) as caught:
        load_model(resolve_model("llama"))
    assert caught.value.field == "model"


def test_a_tied_head_may_be_absent_or_there(models: Path) -> None:
    folder = saved(models, "llama-tied")
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    model = load_model(resolve_model("llama-tied"))
    assert model.lm_head.weight is model.model.embed_tokens.weight
    rewrite(folder, lambda tensors: tensors.update({"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}))
    again = load_model(resolve_model("llama-tied"))
    assert parameter_count(again) == parameter_count(model)


def test_loading_leaves_transformers_logging_as_it_was_and_says_nothing(models: Path, capfd: pytest.CaptureFixture[str]) -> None:
    saved(models, "llama")
    capfd.readouterr()
    verbosity, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    load_model(resolve_model("llama"))
    assert transformers_logging.get_verbosity() == verbosity
    assert transformers_logging.is_progress_bar_enabled() == bar
    assert capfd.readouterr() == ("", "")


def test_a_configuration_that_makes_no_model_is_an_error(models: Path) -> None:
    file = saved(models, "llama") / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "hidden_act": "no such function"}))
    for load in (load_model, load_skeleton):
        with pytest.raises(BadInput, match="no such function"):
            load(resolve_model("llama"))


@every_family
def test_the_skeleton_has_the_models_layers_and_no_memory(models: Path, family: str) -> None:
    saved(models, family)
    skeleton, model = load_skeleton(resolve_model(family)), tiny(family)
    assert {parameter.device.type for parameter in skeleton.parameters()} == {"meta"}
    assert parameter_count(skeleton) == parameter_count(model)
    names = [[(linear.name, linear.rows, linear.columns) for linear in linears] for linears in map_blocks(skeleton).linears]
    assert names == [[(linear.name, linear.rows, linear.columns) for linear in linears] for linears in map_blocks(model).linears]


def test_a_real_checkpoint(stories260k: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(stories260k.parent))
    source = resolve_model("stories260K")
    model = load_model(source)
    assert parameter_count(model) == source.parameters == 260_032
    linears = map_blocks(model).linears
    assert len(linears) == 5
    assert {linear.module: (linear.rows, linear.columns) for linear in linears[4]} == {
        "self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64), "self_attn.o_proj": (64, 64),
        "mlp.gate_proj": (172, 64), "mlp.up_proj": (172, 64), "mlp.down_proj": (64, 172)}
