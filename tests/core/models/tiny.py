"""Tiny random models of each family, token windows for them, and streams over them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    OPTConfig,
    PhiConfig,
    PreTrainedModel,
    Qwen3Config,
)

from core.models.blocks import map_blocks
from core.models.streaming import Stream

WINDOW = 8  # sliding windows shorter than the test's windows of 20 tokens
SIZES: dict[str, Any] = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
                         "num_attention_heads": 4, "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2}
GROUPED = {**SIZES, "num_key_value_heads": 2}
GEMMA = {**GROUPED, "head_dim": 8, "pad_token_id": 0}
OPT = {"vocab_size": 64, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
       "max_position_embeddings": 64}
GPT2 = {"vocab_size": 64, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64, "bos_token_id": 1, "eos_token_id": 2}
SLIDING = {"sliding_window": WINDOW}
MIXED = {**SLIDING, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
GATED = (QKV, ("self_attn.o_proj",), ("mlp.gate_proj", "mlp.up_proj"), ("mlp.down_proj",))
OPTS = (QKV, ("self_attn.out_proj",), ("fc1",), ("fc2",))
NEOX = (("attention.query_key_value",), ("attention.dense",), ("mlp.dense_h_to_4h",), ("mlp.dense_4h_to_h",))

# family: configuration, path of the blocks, and the linear layers of a block: those that read one input together, as they run
FAMILIES: dict[str, tuple[Any, str, tuple[tuple[str, ...], ...]]] = {
    "llama": (LlamaConfig(**GROUPED), "model.layers", GATED),
    "llama-tied": (LlamaConfig(**GROUPED, tie_word_embeddings=True), "model.layers", GATED),
    "mistral": (MistralConfig(**GROUPED, **SLIDING), "model.layers", GATED),
    "qwen3": (Qwen3Config(**GROUPED, head_dim=8, use_sliding_window=True, **MIXED), "model.layers", GATED),
    "gemma": (GemmaConfig(**GEMMA), "model.layers", GATED),
    "gemma2": (Gemma2Config(**GEMMA, **SLIDING, attn_logit_softcapping=2.0, final_logit_softcapping=3.0), "model.layers", GATED),
    "gemma3": (Gemma3TextConfig(**GEMMA, **MIXED), "model.layers", GATED),
    "opt": (OPTConfig(**OPT, word_embed_proj_dim=16), "model.decoder.layers", OPTS),
    "opt-postnorm-untied": (OPTConfig(**OPT, word_embed_proj_dim=32, do_layer_norm_before=False, tie_word_embeddings=False),
                            "model.decoder.layers", OPTS),
    "gpt-neox": (GPTNeoXConfig(**SIZES), "gpt_neox.layers", NEOX),
    "phi": (PhiConfig(**GROUPED), "model.layers", ((*QKV, "mlp.fc1"), ("self_attn.dense",), ("mlp.fc2",))),
    "gpt2": (GPT2Config(**GPT2), "transformer.h", (("attn.c_attn",), ("attn.c_proj",), ("mlp.c_fc",), ("mlp.c_proj",))),
}
every_family = pytest.mark.parametrize("family", FAMILIES)


def build(config: Any, seed: int = 0) -> PreTrainedModel:
    """A random model whose matrices are large enough for every part of it to matter in the logits."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(copy.deepcopy(config)).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            parameter.normal_(0, 0.3)
        elif name.endswith("bias"):
            parameter.normal_(0, 0.1)
    return model


def tiny(family: str) -> PreTrainedModel:
    return build(FAMILIES[family][0])


LENGTH = 20


def windows(count: int, vocabulary: int = 64, length: int = LENGTH, seed: int = 0) -> Tensor:
    return torch.randint(vocabulary, (count, length), generator=torch.Generator().manual_seed(seed))


def opened(model: PreTrainedModel) -> Stream:
    return Stream(model, map_blocks(model), "cpu", windows(1, seed=99))


def traces(model: nn.Module) -> list[str]:
    """Modules with a hook or a replaced forward."""
    return [name for name, module in model.named_modules()
            if module._forward_pre_hooks or module._forward_hooks or "forward" in vars(module)]
