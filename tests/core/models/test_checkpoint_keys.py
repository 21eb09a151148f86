"""Checkpoints with tensors that newer versions compute themselves load to the bit; those that matter are an error with their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from core.models.blocks import map_blocks
from core.models.checkpoint_keys import is_causal_mask
from core.models.loading import load_model
from core.models.sources import resolve_model
from core.spec.errors import BadInput

WIDE = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "max_position_embeddings": 64}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": 64}
MASK, LOCAL = torch.ones(1, 1, 64, 64).tril(), torch.ones(1, 1, 64, 64).tril().triu(-5)
ROTARY = {"self_attn.rotary_emb.inv_freq": torch.ones(4), "self_attn.rotary_emb.cos_cached": torch.ones(1, 1, 64, 8)}
GPT2 = {"attn.bias": MASK, "attn.masked_bias": torch.tensor(-1e4)}
NEOX = {"attention.bias": MASK.bool(), "attention.masked_bias": torch.tensor(-1e9), "attention.rotary_emb.inv_freq": torch.ones(4)}

# family: configuration, and tensors that checkpoints of the family were saved with, below each block
FAMILIES: dict[str, tuple[dict[str, Any], dict[str, torch.Tensor]]] = {
    "gpt2": (GPT, GPT2), "gptj": ({**GPT, "rotary_dim": 4}, GPT2),
    "codegen": ({**GPT, "rotary_dim": 4, "n_ctx": 64}, {"attn.causal_mask": MASK}),
    "gpt_neo": ({"vocab_size": 64, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["local"], 2]],
                 "max_position_embeddings": 64}, {"attn.attention.bias": LOCAL, "attn.attention.masked_bias": torch.tensor(-1e9)}),
    "gpt_neox": (WIDE, NEOX), "llama": (WIDE, ROTARY), "mistral": ({**WIDE, "num_key_value_heads": 2}, ROTARY), "qwen2": (WIDE, ROTARY),
    "qwen3": ({**WIDE, "head_dim": 8}, ROTARY), "gemma": ({**WIDE, "head_dim": 8, "num_key_value_heads": 1}, ROTARY),
    "gemma3_text": ({**WIDE, "head_dim": 8, "num_key_value_heads": 1}, ROTARY), "phi": (WIDE, ROTARY), "stablelm": (WIDE, ROTARY),
    "falcon": ({"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
               {"self_attention.rotary_emb.inv_freq": torch.ones(4)}),
    "bloom": ({"vocab_size": 64, "hidden_size": 32, "n_layer": 2, "n_head": 4}, {"self_attention.masked_bias": torch.tensor(-1e4)}),
    "opt": ({"vocab_size": 64, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
             "max_position_embeddings": 64, "word_embed_proj_dim": 32}, {}),
}
ANYWHERE = {"model.decoder.version": torch.tensor([3.0]), "position_ids": torch.arange(64)[None]}


def saved(family: str, folder: Path) -> tuple[Any, str]:
    """A tiny model in the folder; the model, and the name of its first block."""
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **FAMILIES[family][0]))
    model.save_pretrained(folder / family)
    return model, f"{map_blocks(model).path}.0"


def plant(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    file = folder / "model.safetensors"
    save_file({**load_file(file), **{key: tensor.clone() for key, tensor in tensors.items()}}, file, metadata={"format": "pt"})


@pytest.mark.parametrize("family", FAMILIES)
def test_what_the_configuration_gives_is_no_error_and_changes_nothing(models: Path, family: str) -> None:
    model, block = saved(family, models)
    plant(models / family, {**{f"{block}.{key}": tensor for key, tensor in FAMILIES[family][1].items()}, **ANYWHERE})
    loaded = dict(load_model(resolve_model(family)).named_parameters())
    assert loaded.keys() == dict(model.named_parameters()).keys()
    assert all(torch.equal(parameter, loaded[name]) for name, parameter in model.named_parameters())


@pytest.mark.parametrize("family", ["gptj", "llama", "opt"])
@pytest.mark.parametrize("key", ["attn.bias", "mlp.extra.weight", "attn.rotary_emb.weight"])
def test_what_matters_is_an_error_with_its_name(models: Path, family: str, key: str) -> None:
    _, block = saved(family, models)
    plant(models / family, {f"{block}.{key}": torch.randn(8, 8)})
    with pytest.raises(BadInput, match=rf"weights the model lacks: {block}\.{key}"):
        load_model(resolve_model(family))


def test_a_causal_mask_is_known_by_its_values() -> None:
    assert is_causal_mask(MASK)
    assert is_causal_mask(MASK.bool())
    assert is_causal_mask(LOCAL.to(torch.uint8))
    for tensor in (torch.ones(64), torch.ones(8, 8), torch.eye(8) * 0.5, torch.randn(8, 8).tril(), torch.ones(2, 8, 8).tril(),
                   torch.ones(8, 4), torch.ones(1, 1)):
        assert not is_causal_mask(tensor)


def test_a_checkpoint_without_the_heads_prefix_loads(models: Path) -> None:
    """OpenAI's gpt2 has h.0.attn… where the model has transformer.h.0.attn…"""
    model, _ = saved("gpt2", models)
    file = models / "gpt2" / "model.safetensors"
    save_file({key.removeprefix("transformer."): tensor for key, tensor in load_file(file).items()}, file, metadata={"format": "pt"})
    loaded = dict(load_model(resolve_model("gpt2")).named_parameters())
    assert all(torch.equal(parameter, loaded[name]) for name, parameter in model.named_parameters())


@pytest.mark.parametrize(("prefix", "words"), [("_orig_mod.", "Save model._orig_mod"), ("module.", "Save model.module")])
def test_a_wrapped_model_is_told_as_that(models: Path, prefix: str, words: str) -> None:
    saved("llama", models)
    file = models / "llama" / "model.safetensors"
    save_file({prefix + key: tensor for key, tensor in load_file(file).items()}, file, metadata={"format": "pt"})
    with pytest.raises(BadInput, match=words):
        load_model(resolve_model("llama"))
