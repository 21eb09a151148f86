"""Speed: the tokens that are timed are counted, models take turns, and the dense model is as it was."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import AutoModelForCausalLM

from core.evaluate import speed
from core.evaluate.semi_structured import pack, packed
from core.evaluate.size_and_speed import size_and_speed
from core.evaluate.speed import Workload, fitting, measure_model
from core.linalg.cancellation import cancel_unless
from core.models.blocks import map_blocks
from core.records.size_speed import interval
from core.spec import RunSpec
from core.spec.errors import BadInput, Cancelled
from tests.core.families import FAMILIES, save_family

CPU = torch.device("cpu")
WORK = Workload(batches=(1, 3), prompt=10, tokens=4, seconds=0.0)


@pytest.fixture
def counted(monkeypatch):
    """A clock that counts the tokens which went through the model: a second a token."""
    passed = [0]
    monkeypatch.setattr(speed, "now", lambda device: float(passed[0]))

    def watch(model):
        original = model.forward

        def forward(input_ids, **options):
            passed[0] += input_ids.numel()
            return original(input_ids=input_ids, **options)

        model.forward = forward
        return model

    return watch


def pruned_weights(model) -> dict[str, torch.Tensor]:
    return {linear.name: torch.where(torch.arange(linear.columns) % 2 == 0, linear.weight, 0.0)
            for block in map_blocks(model).linears for linear in block}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_token_is_counted_once(family, tmp_path, counted):
    model = counted(AutoModelForCausalLM.from_pretrained(save_family(family, tmp_path)))
    found = measure_model(model, pruned_weights(model), WORK, CPU)
    for point in found.points:
        for kind in ("dense", "pruned"):
            assert set(point.prefill[kind]) == {point.batch * 10}
            assert set(point.decode[kind]) == {point.batch * 4}
            assert found.rate(point, "decode", kind).median == 1.0  # a token a second of this clock
            assert len(point.prefill[kind]) == 3
        assert found.ratio(point, "prefill").median == 1.0
    assert found.no_packed.startswith("PyTorch's 2:4 kernels need" if family != "gpt2" else "The layers of this family")


def test_models_take_turns_and_the_dense_one_is_put_back(tmp_path, monkeypatch):
    model = AutoModelForCausalLM.from_pretrained(save_family("gpt2", tmp_path))
    weights = pruned_weights(model)
    first = next(iter(map_blocks(model).linears[0]))
    before, own = first.weight.clone(), first.layer.weight.data_ptr()
    seen = []
    original = speed._run

    def run(model, tokens, new, device):
        kind = "pruned" if torch.equal(first.weight, weights[first.name]) else "dense"
        assert first.layer.weight.is_contiguous()
        seen.append(kind)
        return original(model, tokens, new, device)

    monkeypatch.setattr(speed, "_run", run)
    measure_model(model, weights, Workload(batches=(1,), prompt=4, tokens=2, seconds=0.0), CPU)
    assert seen == ["dense", "pruned", "pruned", "dense"] * 2
    assert torch.equal(first.weight, before)
    assert first.layer.weight.data_ptr() == own


def test_decoding_with_kept_keys_gives_the_tokens_of_full_forwards(tmp_path, monkeypatch):
    model = AutoModelForCausalLM.from_pretrained(save_family("llama", tmp_path)).eval()
    tokens = torch.arange(3, 13)[None]
    chosen = []
    original = model.forward

    def forward(input_ids, **options):
        out = original(input_ids=input_ids, **options)
        chosen.append(int(out.logits[0, -1].argmax()))
        return out

    model.forward = forward
    with torch.inference_mode():
        speed._run(model, tokens, 5, CPU)
    model.forward = original
    whole = model.generate(tokens, max_new_tokens=6, min_new_tokens=6, do_sample=False)
    assert chosen == whole[0, 10:].tolist()


def test_packed_weights_take_their_turn_and_leave_or_say_why_they_do_not_run(tmp_path, monkeypatch):
    model = AutoModelForCausalLM.from_pretrained(save_family("llama", tmp_path))
    weights = pruned_weights(model)
    own = {name: id(parameter) for name, parameter in model.named_parameters()}
    monkeypatch.setattr(speed, "pack", lambda placed, device: (list(placed), ""))  # the same weights in place of 2:4 tensors
    found = measure_model(model, weights, WORK, CPU)
    assert set(found.points[0].decode) == {"dense", "pruned", "packed"}
    assert found.ratio(found.points[0], "decode", "packed").median > 0
    assert {name: id(parameter) for name, parameter in model.named_parameters()} == own
    monkeypatch.setattr(speed, "pack", lambda placed, device: ([(linear, weight[:, :1]) for linear, weight in placed], ""))
    refused = measure_model(model, weights, WORK, CPU)
    assert set(refused.points[0].decode) == {"dense", "pruned"}
    assert refused.no_packed.startswith("PyTorch's 2:4 kernels do not run this model here")
    assert {name: id(parameter) for name, parameter in model.named_parameters()} == own


@pytest.mark.skipif(not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 0), reason="needs 2:4 kernels")
def test_two_four_kernels_compute_what_the_pruned_weights_compute(tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    gpu = torch.device("cuda")
    model = LlamaForCausalLM(LlamaConfig(hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
                                         vocab_size=128)).eval().to(gpu, torch.float16)
    placed = [(linear, torch.where(torch.arange(linear.columns, device=gpu) % 2 == 0, linear.weight, 0).contiguous())
              for block in map_blocks(model).linears for linear in block]
    tensors, reason = pack(placed, gpu)
    assert (len(tensors), reason) == (14, "")
    tokens = torch.arange(3, 67, device=gpu)[None]
    with torch.inference_mode():
        with packed(tensors):
            there = model(tokens).logits
        with speed._all_replaced(placed):
            here = model(tokens).logits
    torch.testing.assert_close(there, here, rtol=2e-2, atol=2e-2)
    assert "packed" in measure_model(model, {linear.name: weight for linear, weight in placed}, WORK, gpu).points[0].decode


def test_a_model_alone_is_measured_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    save_family("llama", tmp_path)
    sizes, found = size_and_speed(RunSpec(model="llama"), workload=WORK)
    assert sizes.zeros == 0
    assert [set(point.prefill) for point in found.points] == [{"dense"}, {"dense"}]
    assert found.ratio(found.points[0], "decode") is None
    assert found.no_packed == ""


@pytest.mark.parametrize("workload", [Workload(batches=()), Workload(batches=(0,)), Workload(prompt=60, tokens=5), Workload(tokens=0)])
def test_work_that_cannot_be_timed_is_refused(workload, tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    save_family("llama", tmp_path)  # a context of 64
    with pytest.raises(BadInput):
        size_and_speed(RunSpec(model="llama"), workload=workload)


def test_the_usual_work_is_shortened_to_the_context():
    assert fitting(Workload(), 64) == Workload(prompt=48, tokens=16)
    assert fitting(Workload(), 4096) == Workload()


def test_a_measurement_is_cancelled_between_two_models(tmp_path):
    model = AutoModelForCausalLM.from_pretrained(save_family("llama", tmp_path))
    with pytest.raises(Cancelled), cancel_unless(lambda: False):
        measure_model(model, None, WORK, CPU)


@pytest.mark.parametrize(("count", "cut"), [(3, 0), (5, 0), (6, 0), (8, 0), (9, 1), (12, 2)])
def test_the_interval_holds_the_median_with_95_percent(count, cut):
    """By the binomial distribution: the true median lies outside of [cut, count − 1 − cut] where too few values are on one side."""
    found = interval([float(value) for value in range(count)])
    assert (found.low, found.high) == (cut, count - 1 - cut)
    for place in range(1, (count + 1) // 2):
        outside = 2 * sum(math.comb(count, few) for few in range(place + 1)) / 2**count
        assert (outside <= 0.05) == (place <= cut) or place < cut
    assert found.median == (count - 1) / 2


@pytest.mark.parametrize(("error", "told"), [(NotImplementedError(), "NotImplementedError"), (RuntimeError("a\nb"), "a")])
def test_a_refusal_of_the_kernels_is_a_reason(monkeypatch, error, told):
    def refuse(*_):
        raise error

    monkeypatch.setattr(speed, "_run", refuse)
    assert speed._refusal(None, [], torch.device("cpu")).endswith(f": {told}")


def test_want_of_memory_is_no_refusal_of_the_kernels(monkeypatch):
    def exhausted(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(speed, "_run", exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        speed._refusal(None, [], torch.device("cpu"))
