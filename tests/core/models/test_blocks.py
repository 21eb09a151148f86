"""Loading, and finding blocks and linear layers in tiny random models of each family."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    OPTConfig,
    PhiConfig,
    PreTrainedModel,
    Qwen3Config,
)
from transformers.utils import logging as transformers_logging

from core.models.blocks import BlocksNotFound, map_blocks, module_tree, parameter_count
from core.models.loading import load_model, load_skeleton
from core.models.sources import resolve_model
from core.spec.errors import BadInput

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


@every_family
def test_blocks_and_linear_layers_are_found(family: str) -> None:
    _, path, groups = FAMILIES[family]
    block_map = map_blocks(tiny(family))
    assert block_map.path == path
    assert len(block_map.blocks) == len(block_map.linears) == 3
    expected = {module for group in groups for module in group}
    for index, linears in enumerate(block_map.linears):
        assert {linear.module for linear in linears} == expected
        assert len(linears) == len(expected)
        assert all(linear.name == f"{path}.{index}.{linear.module}" and linear.block == index for linear in linears)


@every_family
def test_names_shapes_and_orientation_are_the_models_own(family: str) -> None:
    model = tiny(family)
    for linear in map_blocks(model).linears[1]:
        layer = model.get_submodule(linear.name)
        assert layer is linear.layer
        inputs = torch.randn(5, linear.columns)
        bias = 0 if layer.bias is None else layer.bias
        assert linear.weight.shape == (linear.rows, linear.columns)
        torch.testing.assert_close(inputs @ linear.weight.T + bias, layer(inputs), rtol=1e-4, atol=1e-5)


@every_family
def test_writing_a_weight_changes_the_model_and_nothing_else(family: str) -> None:
    model = tiny(family)
    block_map = map_blocks(model)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    tokens = torch.randint(64, (1, 20), generator=torch.Generator().manual_seed(0))
    dense = model(tokens).logits
    written: set[int] = set()
    for linear in (linears[-1] for linears in block_map.linears):
        storage = linear.layer.weight.data_ptr()
        weight = linear.weight.double() * (torch.arange(linear.columns) % 2)
        linear.write(weight)
        assert linear.layer.weight.data_ptr() == storage
        assert linear.layer.weight.dtype == torch.float32
        assert torch.equal(linear.weight, weight.float())
        assert int((linear.weight == 0).sum()) >= linear.rows * (linear.columns // 2)
        written.add(id(linear.layer.weight))
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == (id(parameter) not in written), name
    assert not torch.allclose(model(tokens).logits, dense, atol=1e-4)


def test_a_weight_of_another_shape_is_not_broadcast() -> None:
    linear = map_blocks(tiny("llama")).linears[0][0]
    with pytest.raises(AssertionError, match="q_proj"):
        linear.write(torch.zeros(1, linear.columns))


def test_a_weight_is_cast_to_the_dtype_of_the_layer() -> None:
    model = tiny("gpt2").to(torch.bfloat16)
    linear = map_blocks(model).linears[0][0]
    weight = torch.randn(linear.rows, linear.columns)
    linear.write(weight)
    assert linear.layer.weight.dtype == torch.bfloat16
    assert torch.equal(linear.weight, weight.bfloat16())


def test_tied_weights_count_once() -> None:
    untied, tied = parameter_count(tiny("llama")), parameter_count(tiny("llama-tied"))
    assert untied - tied == 64 * 32


class Residual(nn.Module):
    def __init__(self, shared: nn.Linear | None = None) -> None:
        super().__init__()
        self.own = nn.Linear(8, 8)
        if shared is not None:
            self.shared = shared


class Toy(nn.Module):
    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(16, 8), nn.Linear(8, 16)
        self.layers = nn.ModuleList(blocks)


def test_a_model_without_blocks_is_shown() -> None:
    model = Toy([nn.LayerNorm(8), nn.LayerNorm(8)])
    with pytest.raises(BlocksNotFound) as caught:
        map_blocks(model)
    text = str(caught.value)
    assert "ModuleList" in text
    assert "layers: ModuleList" in text
    assert "0…1: LayerNorm" in text
    assert "embedding: Embedding" in text
    again = pickle.loads(pickle.dumps(caught.value))  # it crosses processes on its way to the browser
    assert str(again) == text


def test_a_layer_of_several_blocks_belongs_to_none() -> None:
    shared = nn.Linear(8, 8)
    block_map = map_blocks(Toy([Residual(shared), Residual(shared)]))
    assert [linear.name for linears in block_map.linears for linear in linears] == ["layers.0.own", "layers.1.own"]


def test_a_layer_tied_to_the_embedding_or_the_head_is_not_a_blocks() -> None:
    model = Toy([Residual(nn.Linear(8, 16)), Residual(nn.Linear(8, 16))])
    model.layers[0].shared.weight = model.embedding.weight
    model.layers[1].shared.weight = model.head.weight
    assert [linear.module for linears in map_blocks(model).linears for linear in linears] == ["own", "own"]


def test_one_block_many_times_is_not_a_stack_of_blocks() -> None:
    block = Residual()
    with pytest.raises(BlocksNotFound):
        map_blocks(Toy([block, block]))


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.router, self.experts = nn.Linear(8, 6), nn.ModuleList(nn.Linear(8, 8) for _ in range(6))


def test_experts_inside_a_block_are_not_taken_for_blocks() -> None:
    block_map = map_blocks(Toy([Experts(), Experts()]))
    assert block_map.path == "layers"
    assert len(block_map.linears[1]) == 7
    assert block_map.linears[1][3].name == "layers.1.experts.2"


def test_the_longest_list_wins_and_mixed_lists_do_not_count() -> None:
    model = Toy([Residual(), Residual(), Residual()])
    model.adapters = nn.ModuleList([Residual(), Residual()])
    model.mixed = nn.ModuleList([Residual(), Experts(), Residual(), Residual()])
    assert map_blocks(model).path == "layers"


def test_fused_experts_are_an_error() -> None:
    model = build(MixtralConfig(**GROUPED, num_local_experts=4, num_experts_per_tok=2))
    with pytest.raises(BlocksNotFound, match=r"layers\.0\.mlp\.experts\.gate_up_proj \(4, 96, 32\).*mixture of experts"):
        map_blocks(model)


def test_matrices_outside_linear_layers_are_an_error() -> None:
    model = Toy([Residual(), Residual()])
    model.layers[1].attention = nn.MultiheadAttention(8, 2)
    with pytest.raises(BlocksNotFound, match=r"layers\.1\.attention\.in_proj_weight \(24, 8\)"):
        map_blocks(model)


def test_the_tree_is_short() -> None:
    model = nn.Module()
    for index in range(100):
        model.add_module(f"part{index}", nn.Linear(1, 1))
    lines = module_tree(model).splitlines()
    assert len(lines) == 41
    assert lines[-1] == "… 61 more lines"


# --- loading ---------------------------------------------------------------------------------------------------------------------


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
