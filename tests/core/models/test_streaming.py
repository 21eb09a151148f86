"""Running a model block by block: the same numbers as the model, whatever the family, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BloomConfig, FalconConfig, MptConfig

from core.models.blocks import map_blocks
from core.models.loading import load_model
from core.models.sources import resolve_model
from core.models.streaming import StopForward, Stream
from tests.core.models.tiny import FAMILIES, LENGTH, build, every_family, opened, tiny, traces, windows


def replay(stream: Stream, tokens: Tensor) -> Tensor:
    hidden = stream.embed(tokens)
    for block in range(stream.blocks):
        with stream.on_device(block):
            hidden = stream.forward(block, hidden)
    return stream.logits(hidden)


@every_family
@pytest.mark.parametrize("count", [1, 3])
def test_the_replay_is_the_model(family: str, count: int) -> None:
    model = tiny(family)
    stream, tokens = opened(model), windows(count)
    expected = model(tokens).logits
    assert expected.std() > 0.1
    torch.testing.assert_close(replay(stream, tokens), expected, rtol=1e-5, atol=1e-5)
    assert not traces(model)


@pytest.mark.parametrize("config", [
    BloomConfig(vocab_size=64, hidden_size=32, n_layer=3, n_head=4),
    FalconConfig(vocab_size=64, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, alibi=True, eos_token_id=2),
    MptConfig(vocab_size=64, d_model=32, n_layers=3, n_heads=4, max_seq_len=64),
], ids=["bloom", "falcon-alibi", "mpt"])
def test_masks_that_grow_with_heads_times_windows_are_repeated(config: Any) -> None:
    model, tokens = build(config), windows(3)
    torch.testing.assert_close(replay(opened(model), tokens), model(tokens).logits, rtol=1e-5, atol=1e-5)


@every_family
def test_layers_that_read_one_input_are_grouped_in_running_order(family: str) -> None:
    stream = opened(tiny(family))
    for block in range(stream.blocks):
        groups = stream.groups(block)
        assert tuple(tuple(linear.module for linear in group) for group in groups) == FAMILIES[family][2]
        assert {linear.block for group in groups for linear in group} == {block}


@every_family
def test_the_observer_sees_what_each_layer_reads(family: str) -> None:
    model = tiny(family)
    stream, tokens = opened(model), windows(2)
    read: dict[str, Tensor] = {}
    handles = [linear.layer.register_forward_pre_hook(lambda _, args, name=linear.name: read.update({name: args[0].flatten(0, -2)}))
               for linears in stream.block_map.linears for linear in linears]
    model(tokens)
    for handle in handles:
        handle.remove()

    hidden = stream.embed(tokens)
    for block in range(stream.blocks):
        seen: list[tuple[int, Tensor]] = []
        output = stream.observe(block, hidden, lambda group, x: seen.append((group, x)))  # noqa: B023
        assert [group for group, _ in seen] == list(range(len(stream.groups(block))))
        for (_, x), group in zip(seen, stream.groups(block), strict=True):
            assert x.shape == (2 * LENGTH, group[0].columns)
            for linear in group:
                torch.testing.assert_close(x, read[linear.name], rtol=1e-5, atol=1e-5)
        hidden = stream.forward(block, hidden)
        assert torch.equal(hidden, output)
    assert not traces(model)


@every_family
def test_a_batch_is_its_windows_one_by_one(family: str) -> None:
    stream, tokens = opened(tiny(family)), windows(4)
    together = replay(stream, tokens)
    alone = torch.cat([replay(stream, window[None]) for window in tokens])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@every_family
def test_a_written_weight_is_used_at_once(family: str) -> None:
    model = tiny(family)
    stream, tokens = opened(model), windows(2)
    dense = replay(stream, tokens)
    for linears in stream.block_map.linears:
        for linear in linears:
            linear.write(linear.weight * (linear.weight.abs() > 0.2))
    pruned = replay(stream, tokens)
    assert not torch.allclose(pruned, dense, atol=1e-3)
    torch.testing.assert_close(pruned, model(tokens).logits, rtol=1e-5, atol=1e-5)


def test_hidden_states_are_not_written_into() -> None:
    stream = opened(tiny("llama"))
    hidden = stream.embed(windows(2))
    before = hidden.clone()
    stream.observe(0, hidden, lambda *_: None)
    stream.logits(hidden)
    assert torch.equal(hidden, before)


@pytest.mark.parametrize("family", ["mistral", "qwen3", "gemma2", "gemma3"])
def test_sliding_windows_differ_from_full_attention(family: str) -> None:
    """The masks that are replayed matter: with a window that covers everything the same weights give other logits."""
    config, tokens = FAMILIES[family][0], windows(2)
    narrow = replay(opened(tiny(family)), tokens)
    wide = build(type(config).from_dict({**config.to_dict(), "sliding_window": 64}))
    assert (replay(opened(wide), tokens) - narrow)[:, -1].abs().max() > 1e-2
    torch.testing.assert_close(replay(opened(wide), tokens)[:, :8], narrow[:, :8], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("step", [
    lambda stream: stream.observe(1, stream.embed(windows(1)), lambda *_: 1 / 0),
    lambda stream: stream.forward(1, torch.zeros(1, LENGTH, 7)),
    lambda stream: stream.logits(torch.zeros(1, LENGTH, 7)),
    lambda stream: stream.embed(torch.full((1, LENGTH), 10**6)),
], ids=["observer", "forward", "logits", "embed"])
def test_an_exception_leaves_nothing_behind(step: Callable[[Stream], Any]) -> None:
    model = tiny("gpt-neox")
    stream = opened(model)
    with pytest.raises((ZeroDivisionError, RuntimeError, IndexError)):
        step(stream)
    assert not traces(model)
    torch.testing.assert_close(replay(stream, windows(1)), model(windows(1)).logits, rtol=1e-5, atol=1e-5)


def test_a_forward_that_was_replaced_before_comes_back() -> None:
    model = tiny("llama")
    calls: list[int] = []
    block = model.model.layers[0]
    original = block.forward
    block.forward = lambda *args, **kwargs: calls.append(1) or original(*args, **kwargs)
    mine = block.forward
    stream = opened(model)
    replay(stream, windows(1))
    assert block.forward is mine
    assert len(calls) == 3  # the probe, the probe with another last token, and the replay


def test_other_window_lengths_are_refused() -> None:
    with pytest.raises(AssertionError, match="the probe had 20"):
        opened(tiny("llama")).embed(windows(1, length=19))


def test_no_handler_takes_the_stop_for_an_error() -> None:
    assert not issubclass(StopForward, Exception)


def test_on_the_cpu_nothing_moves() -> None:
    model = tiny("llama-tied")
    places = {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
    with opened(model) as stream:
        replay(stream, windows(1))
    assert {name: parameter.data_ptr() for name, parameter in model.named_parameters()} == places


def test_a_block_goes_to_the_device_and_back_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = opened(tiny("llama"))
    moves: list[str] = []
    monkeypatch.setattr(stream.block_map.blocks[1], "to", lambda device: moves.append(str(device)))
    with stream.on_device(1):
        assert not moves
    stream.device = torch.device("meta")
    with pytest.raises(ZeroDivisionError), stream.on_device(1):
        moves.append(f"{1 / 0}")
    assert moves == ["meta", "cpu"]


@pytest.mark.parametrize("family", ["llama-tied", "gpt2", "gemma3", "opt"])
def test_one_block_at_a_time_is_on_the_device(family: str, gpu: Any) -> None:
    model, tokens = tiny(family), windows(3)
    expected = model(tokens).logits
    with Stream(model, map_blocks(model), gpu.device, windows(1, seed=99)) as stream:
        assert {parameter.device.type for block in stream.block_map.blocks for parameter in block.parameters()} == {"cpu"}
        with stream.on_device(1):
            on = [next(block.parameters()).device.type for block in stream.block_map.blocks]
        assert on == ["cpu", gpu.device.type, "cpu"]
        logits = replay(stream, tokens)
        assert logits.is_cuda
        torch.testing.assert_close(logits.cpu(), expected, rtol=1e-3, atol=1e-3)
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}
    torch.testing.assert_close(model(tokens).logits, expected)


def test_a_real_checkpoint_in_half_precision_and_as_float32(stories260k: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(stories260k.parent))
    model = load_model(resolve_model("stories260K"))
    tokens = windows(3, vocabulary=512, length=64)
    stream = Stream(model, map_blocks(model), "cpu", windows(1, vocabulary=512, length=64, seed=1))
    torch.testing.assert_close(replay(stream, tokens), model(tokens).logits, rtol=1e-4, atol=1e-4)
    half = load_model(resolve_model("stories260K"), dtype=torch.bfloat16)
    stream = Stream(half, map_blocks(half), "cpu", windows(1, vocabulary=512, length=64, seed=1))
    assert stream.embed(tokens).dtype == torch.bfloat16
    torch.testing.assert_close(replay(stream, tokens), half(tokens).logits, rtol=0.05, atol=0.05)
