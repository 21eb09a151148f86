"""Models that see the future are refused by what they do, decoders of every kind are not."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from transformers import AutoConfig, PreTrainedModel

from core.models.blocks import NotStreamable
from core.models.causality import NotCausal
from tests.core.models.tiny import SIZES, build, opened, tiny

ENCODERS = ("bert", "roberta", "electra", "xlm-roberta", "roformer", "megatron-bert")


def encoder(family: str, **words: Any) -> PreTrainedModel:
    return build(AutoConfig.for_model(family, **SIZES, pad_token_id=0, **words))


@pytest.mark.parametrize("family", ENCODERS)
def test_an_encoder_is_refused_and_the_same_family_as_a_decoder_is_not(family: str) -> None:
    with pytest.raises(NotCausal, match=r"sees the future: in block 1 a change of the last token changes the outputs of the tokens before"):
        opened(encoder(family, is_decoder=False))
    opened(encoder(family, is_decoder=True)).close()


def test_the_text_survives_a_change_of_process() -> None:
    error = NotCausal("block 3", 0.25)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert "0.25 of the largest" in str(error)


def test_an_embedding_that_looks_ahead_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("llama")
    table = model.model.embed_tokens
    original = type(table).forward.__get__(table)
    monkeypatch.setattr(table, "forward", lambda tokens: original(tokens) + original(tokens).mean(1, keepdim=True))
    with pytest.raises(NotCausal, match="what comes before its first block"):
        opened(model)


def test_a_block_that_leaks_one_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("llama")
    block = model.model.layers[2]
    original = type(block).forward.__get__(block)

    def leaking(hidden: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        output = original(hidden, **kwargs)
        return output + 0.01 * torch.roll(output, -1, dims=1)

    monkeypatch.setattr(block, "forward", leaking)
    with pytest.raises(NotCausal, match="in block 3"):
        opened(model)


def test_a_decoder_that_waits_for_an_encoder_is_refused_as_one() -> None:
    config = AutoConfig.for_model("bart", vocab_size=64, d_model=32, decoder_layers=2, encoder_layers=2, decoder_ffn_dim=48,
                                  encoder_ffn_dim=48, decoder_attention_heads=4, encoder_attention_heads=4,
                                  max_position_embeddings=64, is_decoder=True)
    with pytest.raises(NotStreamable, match=r"encoder_attn\.\w+ does not run when the model reads text alone.*encoder-decoder"):
        opened(build(config))


def test_an_encoder_of_small_weights_is_refused_as_well() -> None:
    """Its attention moves little beside what passes it by; of a decoder nothing moves at all."""
    model = encoder("bert", is_decoder=False)
    for name, parameter in model.named_parameters():
        if ".attention.output." in name and parameter.ndim == 2:
            parameter.data.mul_(1e-3)
    with pytest.raises(NotCausal, match="sees the future: in block 1"):
        opened(model)


def test_refusals_name_the_model_and_what_would_work() -> None:
    with pytest.raises(NotStreamable, match=r"^MambaForCausalLM \(mamba\) cannot be pruned block by block: .*such as LLaMA"):
        opened(build(AutoConfig.for_model("mamba", vocab_size=64, hidden_size=32, num_hidden_layers=2, state_size=8)))


def test_a_state_space_layer_is_refused_as_one() -> None:
    config = AutoConfig.for_model("mamba", vocab_size=64, hidden_size=32, num_hidden_layers=2, state_size=8)
    with pytest.raises(NotStreamable, match=r"mixer\.dt_proj is not run as a linear layer of its own.*Mamba's state-space"):
        opened(build(config))


def test_what_is_left_alone_is_told_with_its_kind_and_share() -> None:
    config = AutoConfig.for_model("mamba2", vocab_size=64, hidden_size=32, num_hidden_layers=2, state_size=8, num_heads=8, head_dim=8,
                                  n_groups=1)
    model = build(config)
    with opened(model) as stream:
        told, = stream.block_map.notes
    weight = model.backbone.layers[0].mixer.conv1d.weight
    share = 100 * weight.numel() / sum(parameter.numel() for parameter in model.backbone.layers[0].parameters())
    shape = "×".join(map(str, weight.shape))
    assert f"mixer.conv1d.weight (convolution, {shape}; 2 blocks)" in told
    assert f"They hold {share:.2g} % of the blocks' weights." in told
    assert opened(tiny("llama")).block_map.notes == ()
