"""One threshold for the model: saliencies are those of the inverse Fisher matrix, and the counts are those of one sorted list."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from core.layer.steps import drain
from core.run.global_threshold import DAMPING, below_one_threshold, histogram, saliency, share_by_saliency
from core.run.pipeline import prune
from core.spec import Calibration, Evaluation, RunSpec, make_method, parse_pattern
from tests.core.families import save_family


def damped(matrix: torch.Tensor) -> torch.Tensor:
    return matrix + DAMPING * matrix.diagonal().mean() * torch.eye(len(matrix), dtype=matrix.dtype)


def test_the_saliency_is_that_of_the_inverse_of_the_whole_fisher_matrix():
    generator = torch.Generator().manual_seed(0)
    rows, columns = 4, 5
    inputs, slopes = torch.randn(columns, 40, generator=generator), torch.randn(rows, 40, generator=generator)
    gram, outputs, weight = inputs @ inputs.T, slopes @ slopes.T, torch.randn(rows, columns, generator=generator)
    fisher = torch.kron(damped(outputs.double()), damped(gram.double()))
    expected = weight.double().flatten().square() / (2 * torch.linalg.inv(fisher).diagonal())
    torch.testing.assert_close(saliency(weight, gram, outputs).double().flatten(), expected, rtol=1e-4, atol=0)
    alone = saliency(weight, gram, outputs.diagonal())  # of a layer with too many outputs for all pairs
    fisher = torch.kron(torch.diag(damped(outputs.double()).diagonal()), damped(gram.double()))
    torch.testing.assert_close(alone.double().flatten(), weight.double().flatten().square() / (2 * torch.linalg.inv(fisher).diagonal()),
                               rtol=1e-4, atol=0)


@pytest.mark.parametrize("total", [0, 1, 700, 2999])
def test_counts_are_those_of_one_sorted_list(total):
    generator = torch.Generator().manual_seed(1)
    layers = [torch.rand(count, generator=generator).square() * scale for count, scale in ((1000, 1.0), (1500, 0.01), (500, 100.0))]
    counts = torch.stack([histogram(layer) for layer in layers])
    found = below_one_threshold(counts, [len(layer) for layer in layers], total)
    threshold = torch.cat(layers).sort().values[:total]
    expected = [int((layer <= threshold[-1]).sum()) if total else 0 for layer in layers]
    assert sum(found) == total
    assert all(abs(one - other) <= 6 for one, other in zip(found, expected, strict=True))  # a bin is 0.4 % wide
    capped = below_one_threshold(counts, [1000, 300, 500], 1200)
    assert sum(capped) == 1200
    assert capped[1] == 300


def test_a_run_keeps_the_total_and_layers_differ(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tmp_path))
    folder = save_family("llama", tmp_path)
    source = f"windows:{folder / 'windows.npy'}"
    spec = RunSpec(model="llama", calibration=Calibration(source=source, windows=8), evaluation=Evaluation(source=source, windows=5),
                   method=make_method("thanos"), pattern=parse_pattern("0.5"), allocation="global")
    *_, last = prune(spec)
    shares = {layer.name: layer.counted_sparsity for layer in last.result.layers}
    assert last.result.counted_sparsity == pytest.approx(0.5, abs=1e-3)
    assert max(shares.values()) - min(shares.values()) > 0.1
    for word in ("2:4", "columns:0.3", "neurons:0.3"):
        with pytest.raises(ValueError, match="allocation"):
            RunSpec(pattern=parse_pattern(word), allocation="global")


def test_a_layer_that_more_tokens_reach_is_not_dearer_for_that(monkeypatch):
    """As experts of a model are: the same statistics a token, of more of them."""
    generator = torch.Generator().manual_seed(2)
    inputs, outputs, weight = (torch.randn(*shape, generator=generator) for shape in ((6, 50), (8, 50), (8, 6)))
    gram, outputs = inputs @ inputs.T, outputs @ outputs.T
    linears = [SimpleNamespace(name=name, weight=weight, rows=8, columns=6) for name in ("few", "many")]
    items = [SimpleNamespace(layers=("few",), gram=gram, tokens=50), SimpleNamespace(layers=("many",), gram=16 * gram, tokens=800)]
    monkeypatch.setattr("core.run.global_threshold.collect", lambda opened: iter([items]))
    shares = drain(share_by_saliency(SimpleNamespace(device="cpu"), SimpleNamespace(linears=[linears]), parse_pattern("0.5"),
                                     {"few": outputs, "many": outputs}))
    assert [shares[name].target(8, 6).count for name in ("few", "many")] == [24, 24]
