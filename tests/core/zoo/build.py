"""Tiny random models of every causal architecture that the installed transformers knows, built from one table of small sizes."""
# pyright: basic

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

CAUSAL = tuple(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
WRAPPERS = tuple(name for name in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES if name not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
MOST = 8_000_000  # parameters; what stays larger has sizes that the table does not name
SIZES: dict[str, Any] = {
    "vocab_size": 96, "hidden_size": 32, "n_embd": 32, "d_model": 32, "embedding_size": 32, "word_embed_proj_dim": 32, "emb_dim": 32,
    "intermediate_size": 48, "ffn_dim": 48, "n_inner": 48, "d_ff": 48, "ffn_hidden_size": 48, "mlp_dim": 48, "d_inner": 48,
    "decoder_ffn_dim": 48, "encoder_ffn_dim": 48, "dff": 48, "dim_ff": 48, "shared_intermediate_size": 48,
    "moe_intermediate_size": 24, "shared_expert_intermediate_size": 24, "moe_shared_expert_intermediate_size": 24,
    "intermediate_size_mlp": 48, "num_hidden_layers": 2, "n_layer": 2, "n_layers": 2, "num_layers": 2, "decoder_layers": 2,
    "encoder_layers": 2, "num_encoder_layers": 2, "num_decoder_layers": 2, "depth": 2, "num_attention_heads": 4, "n_head": 4, "n_heads": 4,
    "num_heads": 4, "encoder_attention_heads": 4, "decoder_attention_heads": 4, "num_encoder_attention_heads": 4,
    "num_decoder_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "attention_head_dim": 8, "global_head_dim": 8,
    "max_position_embeddings": 64, "n_positions": 64, "max_seq_len": 64, "context_length": 64, "n_ctx": 64,
    "num_experts": 8, "num_local_experts": 8, "n_routed_experts": 8, "moe_num_experts": 8, "num_experts_per_tok": 2, "moe_topk": 2,
    "moe_k": 2, "top_k_experts": 2, "num_experts_per_token": 2, "n_shared_experts": 1, "num_shared_experts": 1, "n_group": 1,
    "topk_group": 1, "first_k_dense_replace": 1, "moe_layer_start_index": 0, "moe_layer_interval": 1, "decoder_sparse_step": 1,
    "interleave_moe_layer_step": 1, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8,
    "qk_head_dim": 16, "kv_channels": 8, "lru_width": 32, "state_size": 8, "mamba_d_state": 8, "mamba_n_heads": 4, "mamba_d_head": 16,
    "mamba_d_ssm": 64, "mamba_n_groups": 1, "mamba_num_heads": 4, "mamba_head_dim": 16, "n_groups": 1, "linear_num_value_heads": 4,
    "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8, "attention_hidden_size": 32, "block_dim": 32,
    "block_multiple_of": 8, "conv_dim": 32, "conv_dim_out": 32, "mamba_expand": 2, "chunk_size": 8, "time_step_rank": 4,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "image_token_id": 90, "image_token_index": 90, "video_token_id": 91,
    "vision_start_token_id": 92, "vision_end_token_id": 93, "audio_token_id": 94, "boi_token_index": 92, "eoi_token_index": 93,
    "image_size": 28, "patch_size": 14, "num_patches": 4, "laurel_rank": 4, "vocab_size_per_layer_input": 96,
    "hidden_size_per_layer_input": 8, "num_kv_shared_layers": 0, "altup_num_inputs": 2, "sliding_window": 16, "embed_dim": 32,
    "num_positions": 64, "out_hidden_size": 32, "projection_dim": 32, "mm_hidden_size": 32, "vision_soft_tokens_per_image": 4,
    "mm_tokens_per_image": 4, "projector_hidden_size": 32, "is_decoder": True, "expert_ffn_hidden_size": 24, "ffn_hidden": 48,
    "zero_expert_num": 2, "rope_parameters": None, "axial_pos_shape": (8, 8), "axial_pos_embds_dim": (16, 16), "qkv_hidden_size": 32,
    "vision_output_dim": 32, "projector_input_dim": 32, "projector_output_dim": 32, "vision_dim": 32, "pixel_shuffle_ratio": 1.0,
}


def small(config: PreTrainedConfig) -> dict[str, Any]:
    """The sizes of the table that a configuration has, those of the configurations inside it too."""
    words = config.to_dict()
    known = {**{name: None for name in inspect.signature(type(config).__init__).parameters}, **words}
    found = {name: value for name, value in SIZES.items() if name in known and value is not None
             and not isinstance(words.get(name), dict)
             and not (isinstance(words.get(name), (list, tuple)) and not isinstance(value, (list, tuple)))}
    names = {name: getattr(config, name) for name in getattr(config, "sub_configs", {}) if isinstance(getattr(config, name, None),
                                                                                                       PreTrainedConfig)}
    for name, inner in names.items():
        found[name] = small(inner) | {"model_type": inner.model_type}
    return found


def tiny_config(family: str, **changes: Any) -> PreTrainedConfig:
    """A small configuration of a family; `changes` go over the table's."""
    usual = AutoConfig.for_model(family)
    return AutoConfig.for_model(family, **_merged(_merged(small(usual), EXTRA.get(family, {})), changes))


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, **{name: _merged(one[name], value) if isinstance(value, dict) and isinstance(one.get(name), dict) else value
                      for name, value in other.items()}}


def build(family: str, **changes: Any) -> PreTrainedModel:
    """A random model whose matrices are large enough for every part of it to matter in the logits."""
    config = tiny_config(family, **changes)
    auto = AutoModelForImageTextToText if family in WRAPPERS else AutoModelForCausalLM
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in auto.from_config(config).parameters())
    assert count < MOST, f"{family}: {count:,} parameters"
    torch.manual_seed(0)
    model = auto.from_config(tiny_config(family, **changes)).eval().requires_grad_(False)
    spread(model)
    return model


def spread(model: nn.Module) -> None:
    """Random numbers of a spread that matters in place of what a new model has."""
    for name, parameter in model.named_parameters():
        if parameter.ndim in (2, 3):
            parameter.normal_(0, 0.2 if parameter.shape[-1] > 4 else 0.1)
        elif name.endswith("bias"):
            parameter.normal_(0, 0.1)


_MROPE = {"text_config": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}}}
_HEADS = {"num_key_value_heads": 4}  # of multi-head latent attention: as many as queries
EXTRA: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("axk1", "axk2", "deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite", "glm_moe_dsa", "longcat_flash",
                     "minicpm3", "mistral4", "youtu", "dots3_note_text"), _HEADS),
    **dict.fromkeys(("qwen2_vl", "qwen2_5_vl", "paddleocr_vl"), _MROPE),
    **dict.fromkeys(("glm46v", "glm4v", "glm_ocr", "glmga", "qwen2_5_omni_thinker"), _MROPE),
    "codegen": {"rotary_dim": 4}, "gptj": {"rotary_dim": 4}, "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "mamba2": {"num_heads": 8, "head_dim": 8}, "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 0},
    "zaya": {"num_experts_per_tok": 1},
}
