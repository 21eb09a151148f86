"""First looks at layers: estimates from rows beside what all rows give."""

from __future__ import annotations

import pytest
import torch

from core.layer.problem import LayerProblem
from core.layer.row_samples import banded_rows
from core.layer.steps import drain
from core.methods.solve import solve
from core.spec import RunSpec, make_method, parse_pattern
from core.whatif import first_look
from core.whatif.first_look import solved_after


def layer(rows: int = 96, columns: int = 64) -> LayerProblem:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(columns, 256, generator=generator) * torch.linspace(0.2, 3, columns)[:, None]
    weight = torch.randn(rows, columns, generator=generator) * torch.linspace(0.3, 3, rows)[:, None]
    return LayerProblem(weight=weight, gram=inputs @ inputs.T, tokens=256, mean=inputs.mean(1))


def spec_of(method: str, pattern: str) -> RunSpec:
    return RunSpec(method=make_method(method), pattern=parse_pattern(pattern))


@pytest.mark.parametrize("pattern", ["0.5", "2:4", "columns:0.25:alpha=0.1"])
@pytest.mark.parametrize("method", ["magnitude", "wanda"])
def test_a_first_look_without_update_has_the_mask_of_the_layer_and_the_error_in_its_spread(method, pattern, monkeypatch):
    monkeypatch.setattr(first_look, "_FEWEST", 24)
    monkeypatch.setattr(first_look, "_ERROR_WORK", 0)
    problem, spec = layer(), spec_of(method, pattern.partition(":alpha")[0])
    if "alpha" in pattern:
        spec = spec.model_copy(update={"pattern": spec.pattern.model_copy(update={"outlier_rows": 0.1})})
    look = drain(first_look.first_look(problem, spec, 0))
    whole = solve(problem, spec.method, spec.pattern)
    assert torch.equal(look.solution.pruned, whole.pruned)
    assert torch.equal(look.solution.weight, whole.weight)
    assert look.counted_sparsity == whole.counted_sparsity
    assert 0 < abs(look.solution.relative_error - whole.relative_error) < 4 * look.spread
    assert look.sampled == 24
    behind = drain(solved_after(problem, spec, 0, look))
    assert behind.relative_error == whole.relative_error
    assert look.solution.relative_error != whole.relative_error


def test_an_estimate_from_all_rows_is_the_error(monkeypatch):
    problem, spec = layer(), spec_of("wanda", "0.5")
    look = drain(first_look.first_look(problem, spec, 0))
    assert look.solution.relative_error == pytest.approx(solve(problem, "wanda", spec.pattern).relative_error, rel=1e-5)
    assert look.spread == 0


@pytest.mark.parametrize("method", ["sparsegpt", "thanos"])
def test_other_methods_prune_some_rows_alone(method, monkeypatch):
    monkeypatch.setattr(first_look, "FIRST_ROWS", 32)
    problem, spec = layer(), spec_of(method, "0.5")
    spec = spec.model_copy(update={"pattern": spec.pattern.model_copy(update={"outlier_rows": 0.1})})
    look = drain(first_look.first_look(problem, spec, 0))
    whole = solve(problem, spec.method, spec.pattern)
    assert look.rows is not None
    assert not torch.isin(look.rows, whole.dense_rows).any()
    assert look.solution.pruned.shape == (len(look.rows), 64)
    assert look.dense_rows.tolist() == whole.dense_rows.tolist()
    assert abs(look.solution.relative_error - whole.relative_error) < 4 * look.spread
    assert look.counted_sparsity == pytest.approx(whole.counted_sparsity, abs=0.01)


def test_bands_have_a_row_each_and_the_same_one_each_time():
    rows = banded_rows(103, 10)
    assert rows.tolist() == banded_rows(103, 10).tolist()
    assert all(place * 103 // 10 <= row < (place + 1) * 103 // 10 for place, row in enumerate(rows.tolist()))
    assert banded_rows(5, 10).tolist() == [0, 1, 2, 3, 4]
