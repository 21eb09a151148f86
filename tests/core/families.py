"""Tiny randomly initialized models of each supported family, saved as ordinary folders."""

from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

_ROTARY = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 72, "vocab_size": 96,
           "max_position_embeddings": 64}
FAMILIES: dict[str, dict[str, object]] = {
    "llama": _ROTARY | {"num_key_value_heads": 2},
    "opt": {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "ffn_dim": 72, "vocab_size": 96,
            "max_position_embeddings": 64, "word_embed_proj_dim": 32},
    "qwen3": _ROTARY | {"num_key_value_heads": 2, "head_dim": 8},
    "mistral": _ROTARY | {"num_key_value_heads": 2, "sliding_window": 16},
    "gemma": _ROTARY | {"num_key_value_heads": 1, "head_dim": 8},
    "gpt_neox": _ROTARY,
    "phi": _ROTARY,
    "gpt2": {"n_embd": 32, "n_head": 4, "n_layer": 2, "n_inner": 72, "vocab_size": 96, "n_positions": 64},
}
LINEARS = {"llama": 7, "opt": 6, "qwen3": 7, "mistral": 7, "gemma": 7, "gpt_neox": 4, "phi": 6, "gpt2": 4}


def save_family(family: str, folder: Path, **changes: object) -> Path:
    """A model of the family with weights that matter (spread 0.1), and token windows beside it (windows.npy)."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **{**FAMILIES[family], **changes}))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.1)
    target = folder / family
    model.save_pretrained(target)
    np.save(target / "windows.npy", np.random.default_rng(0).integers(3, 96, (12, 24)))
    return target
