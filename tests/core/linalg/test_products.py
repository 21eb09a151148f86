"""The faster product against float64, on every kind of view; that it is used where it should be, and nowhere else."""

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from core import Calibration, Evaluation, RunSpec, prune
from core.linalg import products
from core.linalg.products import FastLayers, add_product, product
from core.spec import make_method

HAS_ONEDNN = hasattr(torch.ops.mkldnn, "_linear_pointwise")
needs_onednn = pytest.mark.skipif(not HAS_ONEDNN, reason="this build of torch has no oneDNN")
M, K, N = 160, 144, 128  # 2.9 million multiply-adds: over what is worth a call


def random(*size: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture(params=[pytest.param(True, marks=needs_onednn), False], ids=["oneDNN", "torch"])
def fast(request, monkeypatch):
    """Either way, whatever this machine would take."""
    monkeypatch.setattr(products, "available", lambda: request.param)
    return request.param


@pytest.fixture
def calls(monkeypatch):
    """What oneDNN was asked for."""
    made, inner = [], products._linear

    def linear(inputs, weight, bias):
        made.append((tuple(inputs.shape), tuple(weight.shape)))
        return inner(inputs, weight, bias)

    monkeypatch.setattr(products, "_linear", linear)
    return made


def views(rows: int, columns: int, seed: int) -> dict[str, torch.Tensor]:
    wide = random(2 * rows + 3, 2 * columns + 5, seed=seed)
    return {"contiguous": random(rows, columns, seed=seed), "transposed": random(columns, rows, seed=seed).T,
            "columns of a wider one": wide[:rows, 3 : 3 + columns], "rows of a longer one": wide[3 : 3 + rows, :columns].contiguous()[:],
            "transposed columns": random(2 * columns, 2 * rows, seed=seed)[:columns, :rows].T,
            "every other": wide[: 2 * rows : 2, : 2 * columns : 2],
            "one row again and again": random(1, columns, seed=seed).expand(rows, columns)}


@pytest.mark.parametrize(("left", "right"), zip(views(1, 1, 0), [*views(1, 1, 0)][2:] + [*views(1, 1, 0)][:2], strict=True))
def test_the_product_of_views_of_every_layout(fast, calls, left, right):
    a, b = views(M, K, 1)[left], views(K, N, 2)[right]
    kept = a.clone(), b.clone()
    exact = a.double() @ b.double()
    found = product(a, b)
    assert found.shape == (M, N)
    assert float((found - exact).abs().max()) < 1e-4
    assert torch.equal(found, product(a, b))
    out = random(M, 2 * N, seed=3)
    expected = out[:, N:].double() - 0.5 * exact
    same = add_product(out[:, N:], a, b, -0.5)
    assert same.data_ptr() == out[:, N:].data_ptr()
    assert float((out[:, N:] - expected).abs().max()) < 1e-4
    assert torch.equal(out[:, :N], random(M, 2 * N, seed=3)[:, :N])
    assert torch.equal(a, kept[0])
    assert torch.equal(b, kept[1])
    assert len(calls) == 3 * fast


@needs_onednn
@pytest.mark.parametrize("shape", [(0, K, N), (M, 0, N), (1, 1, 1), (3, K, 2)])
def test_small_and_empty_ones_are_torch_s_own(monkeypatch, calls, shape):
    monkeypatch.setattr(products, "available", lambda: True)
    a, b = random(shape[0], shape[1]), random(shape[1], shape[2])
    assert torch.equal(product(a, b), a @ b)
    assert calls == []


@needs_onednn
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_are_torch_s_own(monkeypatch, calls, dtype):
    monkeypatch.setattr(products, "available", lambda: True)
    a, b = random(M, K, dtype=torch.float64).to(dtype), random(K, N, dtype=torch.float64).to(dtype)
    assert torch.equal(product(a, b), a @ b)
    assert calls == []


@needs_onednn
def test_gradients_are_torch_s_own(monkeypatch, calls):
    monkeypatch.setattr(products, "available", lambda: True)
    a, b = random(M, K).requires_grad_(), random(K, N)
    product(a, b).sum().backward()
    assert torch.allclose(a.grad, b.sum(1).expand(M, K), atol=1e-4)
    layer = nn.Linear(K, N)
    with FastLayers():
        layer(random(M, K)).sum().backward()
    assert layer.weight.grad is not None
    assert calls == []
    with torch.no_grad():
        product(a, b)
    assert len(calls) == 1


@torch.no_grad()
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["linear", "conv1d"])
def test_layers_of_a_model_are_computed_so_too(fast, calls, kind, bias):
    layer = nn.Linear(K, N, bias=bias) if kind == "linear" else Conv1D(N, K)
    if layer.bias is not None:
        layer.bias.copy_(random(N, seed=4))
    inputs = random(8, M // 8, K)
    weight = layer.weight.double() if kind == "conv1d" else layer.weight.double().T
    exact = inputs.double() @ weight + (0 if layer.bias is None else layer.bias.double())
    with FastLayers():
        found = layer(inputs)
        other = torch.relu(found)
    assert found.shape == (8, M // 8, N)
    assert float((found - exact).abs().max()) < 1e-4
    assert torch.equal(other, found.clamp(min=0))
    assert len(calls) == fast
    layer(inputs)
    assert len(calls) == fast  # outside of it nothing has changed


@needs_onednn
@pytest.mark.long
def test_a_run_takes_them_for_models_gram_matrices_and_solves(monkeypatch, calls):
    """The same layers' errors and perplexity either way, to rounding."""
    texts = {"calibration": Calibration(windows=4, length=256), "evaluation": Evaluation(windows=4, length=256)}
    spec = RunSpec.model_validate({"method": make_method("wanda"), **texts})
    results = []
    for fast in (True, False):
        monkeypatch.setattr(products, "available", lambda fast=fast: fast)
        *_, last = prune(spec)
        results.append(last.result)
        if fast:
            used, count = set(calls), len(calls)
    assert len(calls) == count
    tokens, hidden, inner, vocabulary = 4 * 256, 256, 688, 4096
    assert {((4, 256, hidden), (inner, hidden)), ((4, 256, inner), (hidden, inner)), ((4, 256, hidden), (vocabulary, hidden))} <= used
    assert ((inner, tokens), (inner // 4, tokens)) in used  # a Gram matrix's first columns
    assert ((hidden, hidden), (hidden, hidden)) in used  # a layer's error
    one, other = results
    assert one.pruned.perplexity == pytest.approx(other.pruned.perplexity, rel=1e-4)
    assert one.dense.perplexity == pytest.approx(other.dense.perplexity, rel=1e-5)
    for a, b in zip(one.layers, other.layers, strict=True):
        assert a.relative_error == pytest.approx(b.relative_error, rel=2e-3)


@pytest.mark.parametrize(("cpu", "capability", "expected"), [
    ("vendor_id : AuthenticAMD", "AVX512", HAS_ONEDNN), ("vendor_id : AuthenticAMD", "AVX2", False),
    ("vendor_id : GenuineIntel", "AVX512", False), (None, "AVX512", False)])
def test_only_where_torch_s_own_is_slow(monkeypatch, tmp_path, cpu, capability, expected):
    file = tmp_path / "cpuinfo"
    if cpu:
        file.write_text(cpu)
    monkeypatch.setattr(products, "_CPU", file)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert products.available.__wrapped__() is expected


@needs_onednn
def test_the_private_operator_is_what_it_is_taken_for():
    assert products.operator_works()


@pytest.mark.parametrize("broken", [AttributeError("no such operator"), TypeError("other arguments"), None])
def test_an_operator_that_changed_is_not_used(broken, monkeypatch):
    def changed(inputs, weight, bias):
        if broken is not None:
            raise broken
        return inputs @ weight.T  # without the bias

    monkeypatch.setattr(products, "_linear", changed)
    assert not products.operator_works()
