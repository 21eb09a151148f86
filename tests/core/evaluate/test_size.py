"""Bytes counted against bits written down by hand, and against what safetensors really writes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from core.evaluate.size import count_layer, model_sizes
from core.models.blocks import map_blocks
from core.records.size_speed import LayerCount
from tests.core.families import FAMILIES, save_family

# 3 rows, 8 inputs: 2:4 in every group of four
WEIGHT = torch.tensor([[1, 0, 0, 2, 0, 0, 3, 0],
                       [0, 0, 0, 0, 0, 0, 0, 0],
                       [0, 5, 6, 0, 7, 0, 0, 8]], dtype=torch.float16)


def test_a_small_layer_has_the_bits_one_counts():
    count = count_layer(WEIGHT)
    assert (count.weights, count.zeros, count.zero_rows, count.zero_columns) == (24, 17, 1, 1)
    assert count.bitmask_bytes(2) == 24 // 8 + 7 * 2
    assert count.fits_two_four
    assert count.packed_bytes(2) == 12 * 2 + 12 * 2 // 8  # two values a group of four, and two indices of 2 bits


def bits(weight: torch.Tensor, element: int) -> int:
    """A bitmask with values, written out: one character a bit."""
    mask = "".join("1" if value else "0" for value in weight.flatten().tolist())
    padded = mask + "0" * (-len(mask) % 8)
    return len(padded) // 8 + mask.count("1") * element


@given(st.integers(1, 5), st.integers(1, 13), st.integers(0, 2**16), st.sampled_from((2, 4)))
def test_a_bitmask_is_as_long_as_one_written_out(rows, columns, seed, element):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randint(-1, 2, (rows, columns), generator=generator)
    count = count_layer(weight)
    assert count.bitmask_bytes(element) == bits(weight, element)
    fits = columns % 4 == 0 and all(sum(value != 0 for value in row[start:start + 4]) <= 2 for row in weight.tolist()
                                    for start in range(0, columns, 4))
    assert count.fits_two_four == fits
    assert count.packed_bytes(element) == (rows * columns // 2 * element + -(-rows * columns // 8) if fits else rows * columns * element)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_plain_folder_takes_what_safetensors_writes(family, tmp_path):
    folder = save_family(family, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.half().save_pretrained(tmp_path / "half")
    with safe_open(tmp_path / "half" / "model.safetensors", "pt") as file:
        written = sum(file.get_tensor(name).nbytes for name in file.keys())  # noqa: SIM118
    sizes = model_sizes(model, None, torch.float16)
    assert sizes.folder_bytes == written
    assert sizes.zeros == 0
    assert sizes.packed_bytes == written
    assert sizes.bitmask_bytes == written + sum(-(-layer.weights // 8) for layer in sizes.layers)


def test_pruned_weights_are_counted_in_place_of_the_models_own(tmp_path):
    model = AutoModelForCausalLM.from_pretrained(save_family("llama", tmp_path))
    linears = [linear for block in map_blocks(model).linears for linear in block]
    weights = {linear.name: torch.zeros(linear.rows, linear.columns) for linear in linears[:3]}
    sizes = model_sizes(model, weights, torch.float32)
    assert (len(sizes.layers), sizes.zeros, sizes.packed_layers) == (3, sizes.weights, 3)
    assert sizes.bitmask_bytes == sizes.folder_bytes - sizes.weights * 4 + sizes.weights // 8
    assert sizes.removed == 0


def test_smaller_shapes_are_parameters_removed():
    assert count_layer(torch.ones(2, 4), dense=24).removed == 16
    assert LayerCount(weights=8, zeros=0, fits_two_four=False).removed == 0
