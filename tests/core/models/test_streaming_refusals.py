"""Models that are no plain chain of blocks are refused, each with its reason."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor
from transformers import Gemma3nTextConfig, PreTrainedModel

from core.models.blocks import BlockMap, NotStreamable, map_blocks
from core.models.streaming import Stream
from tests.core.models.tiny import GROUPED, build, opened, tiny, traces, windows


def changed(monkeypatch: pytest.MonkeyPatch, forward: Callable[..., Any], block: int = 1) -> PreTrainedModel:
    """A LLaMA one of whose blocks does something else: forward(original, hidden, **kwargs)."""
    model = tiny("llama")
    target = model.model.layers[block]
    original = type(target).forward.__get__(target)
    monkeypatch.setattr(target, "forward", lambda hidden, **kwargs: forward(original, hidden, **kwargs))
    return model


def test_a_block_that_runs_twice_is_refused() -> None:
    model = tiny("llama")
    block_map = map_blocks(model)
    model.model.layers.append(model.model.layers[0])
    model.config.num_hidden_layers = 4
    with pytest.raises(NotStreamable, match="runs block 0 more than once"):
        Stream(model, block_map, "cpu", windows(1))
    assert not traces(model)


def test_something_between_two_blocks_is_refused() -> None:
    model = tiny("llama")
    block_map = map_blocks(model)
    skipping = BlockMap(path=block_map.path, blocks=block_map.blocks[::2], linears=block_map.linears[::2])
    with pytest.raises(NotStreamable, match="between blocks 0 and 1"):
        Stream(model, skipping, "cpu", windows(1))
    assert not traces(model)


def test_blocks_that_run_in_another_order_are_refused() -> None:
    model = tiny("llama")
    block_map = map_blocks(model)
    turned = BlockMap(path=block_map.path, blocks=block_map.blocks[::-1], linears=block_map.linears[::-1])
    with pytest.raises(NotStreamable, match="does not run its 3 blocks from the first to the last"):
        Stream(model, turned, "cpu", windows(1))


def test_a_block_that_writes_into_its_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = changed(monkeypatch, lambda original, hidden, **kwargs: original(hidden.mul_(1.5), **kwargs))
    with pytest.raises(NotStreamable, match="block 1 writes into its input"):
        opened(model)


def test_a_layer_that_does_not_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model = changed(monkeypatch, lambda original, hidden, **kwargs: hidden + 1)
    with pytest.raises(NotStreamable, match=r"model\.layers\.1\.self_attn\.q_proj does not run when the model reads text alone"):
        opened(model)


def test_an_output_that_takes_more_than_the_last_block_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("llama")
    kept: list[Tensor] = []
    first, norm = model.model.layers[0], model.model.norm
    original, normalize = type(first).forward.__get__(first), type(norm).forward.__get__(norm)
    monkeypatch.setattr(first, "forward", lambda hidden, **kwargs: kept.append(hidden) or original(hidden, **kwargs))
    monkeypatch.setattr(norm, "forward", lambda hidden: normalize(hidden + kept.pop()) if kept else normalize(hidden))
    with pytest.raises(NotStreamable, match="more than what the last block returns"):
        opened(model)


def test_arguments_that_depend_on_the_text_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("llama")
    rotary = model.model.rotary_emb
    original = type(rotary).forward.__get__(rotary)
    monkeypatch.setattr(rotary, "forward", lambda x, position_ids: tuple(part * x.mean() for part in original(x, position_ids)))
    with pytest.raises(NotStreamable, match="depends on the text"):
        opened(model)
    assert traces(model) == ["model.rotary_emb"]


def test_arguments_made_anew_in_each_call_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("llama")
    original = type(model.model).forward.__get__(model.model)
    monkeypatch.setattr(model.model, "forward", lambda **kwargs: original(**kwargs, memory=object()))
    with pytest.raises(NotStreamable, match="takes a object that differs from call to call"):
        opened(model)


def test_a_family_with_inputs_for_each_layer_is_refused() -> None:
    config = Gemma3nTextConfig(**GROUPED, head_dim=8, vocab_size_per_layer_input=64, hidden_size_per_layer_input=8, laurel_rank=4,
                               num_kv_shared_layers=1, layer_types=["sliding_attention", "full_attention", "full_attention"],
                               activation_sparsity_pattern=[0.0, 0.0, 0.0], pad_token_id=0)
    with pytest.raises(NotStreamable):
        opened(build(config))


@pytest.mark.parametrize(("factor", "same"), [(1 + 1e-7, True), (1 + 1e-4, False)])
def test_arguments_that_differ_by_rounding_alone_are_the_same(monkeypatch: pytest.MonkeyPatch, factor: float, same: bool) -> None:
    """Twice the same sines were once a model that "depends on the text": one run in many failed so."""
    model = tiny("llama")
    rotary, calls = model.model.rotary_emb, iter((1.0, factor, 1.0, factor, 1.0, 1.0))
    original = type(rotary).forward.__get__(rotary)

    def forward(x: Tensor, position_ids: Tensor) -> tuple[Tensor, ...]:
        scale = next(calls)
        return tuple(part * scale for part in original(x, position_ids))

    monkeypatch.setattr(rotary, "forward", forward)
    if same:
        assert opened(model).blocks == 3
    else:
        with pytest.raises(NotStreamable, match="depends on the text"):
            opened(model)


def test_one_forward_that_differs_is_made_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    model = tiny("llama")
    rotary, calls = model.model.rotary_emb, itertools.count()
    original = type(rotary).forward.__get__(rotary)
    monkeypatch.setattr(rotary, "forward", lambda x, position_ids: tuple(
        part * (1.01 if next(calls) == 0 else 1) for part in original(x, position_ids)))
    assert opened(model).blocks == 3
    assert "it differs by 9.9e-03 of its largest entry" in caplog.text


def test_a_refusal_says_nothing_of_the_second_try(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny("llama")
    model.model.layers[1].forward = lambda hidden_states, **_: hidden_states
    with pytest.raises(NotStreamable):
        opened(model)
    assert caplog.text == ""
