"""Decoder blocks and their linear layers in tiny random models of each family."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn
from transformers import (
    MixtralConfig,
)

from core.models.blocks import BlocksNotFound, map_blocks, module_tree, parameter_count
from tests.core.models.tiny import FAMILIES, GROUPED, build, every_family, tiny


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


def test_each_expert_of_a_stack_is_a_layer() -> None:
    model = build(MixtralConfig(**GROUPED, num_local_experts=4, num_experts_per_tok=2))
    layer = map_blocks(model).linears[1][-2]
    assert (layer.name, layer.stack) == ("model.layers.1.mlp.experts.2.down_proj", "model.layers.1.mlp.experts.down_proj")
    assert torch.equal(layer.weight, model.model.layers[1].mlp.experts.down_proj[2])


def test_matrices_that_are_stacked_and_no_experts_are_an_error() -> None:
    model = Toy([Residual(), Residual()])
    model.layers[0].gates = nn.Parameter(torch.zeros(4, 8, 8))
    model.layers[0].others = nn.Parameter(torch.zeros(4, 8, 8))
    model.layers[0].more = nn.Parameter(torch.zeros(4, 8, 8))
    with pytest.raises(BlocksNotFound, match=r"Toy cannot .*: it keeps layers\.0\.gates in a stack of matrices \(4, 8, 8\), and not"):
        map_blocks(model)


def test_matrices_outside_linear_layers_are_an_error() -> None:
    model = Toy([Residual(), Residual()])
    model.layers[1].attention = nn.MultiheadAttention(8, 2)
    with pytest.raises(BlocksNotFound, match=r"layers\.1\.attention\.in_proj_weight as an array \(24, 8\)"):
        map_blocks(model)


def test_the_tree_is_short() -> None:
    model = nn.Module()
    for index in range(100):
        model.add_module(f"part{index}", nn.Linear(1, 1))
    lines = module_tree(model).splitlines()
    assert len(lines) == 41
    assert lines[-1] == "… 61 more lines"
