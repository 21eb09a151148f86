"""What a solution tells, what `solve` takes, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

import core
from core import BadInput, Structured, Unstructured
from core.spec import METHODS, RunSpec, make_method
from core.spec.flags import read_words
from tests.core.methods.cases import every_method, solve


@every_method
def test_a_solution_tells_how_it_came_about(layer, name):
    solution = solve(layer(4, 12), name, Unstructured(sparsity=0.5))
    assert solution.damping == getattr(make_method(name), "damping", None)
    assert 0 <= solution.seconds < 60
    assert isinstance(solution.relative_error, float)
    assert math.isfinite(solution.relative_error)
    with pytest.raises(AttributeError):
        solution.weight = None


def test_solve_takes_a_parameter_model_too(layer):
    problem = layer(4, 12)
    by_name = solve(problem, "thanos", Unstructured(sparsity=0.5), block_size=4)
    assert torch.equal(solve(problem, make_method("thanos", block_size=4), Unstructured(sparsity=0.5)).weight, by_name.weight)


@pytest.mark.parametrize(("name", "parameters"), [
    ("obs", {}), ("thanos", {"block_size": 0}), ("thanos", {"block": 8}), ("wanda", {"damping": 0.1}),
    ("sparsegpt", {"damping": -1.0}),
])
def test_solve_refuses_what_it_cannot_do(layer, name, parameters):
    with pytest.raises((BadInput, ValidationError)):
        core.solve(layer(4, 12), name, Unstructured(sparsity=0.5), **parameters)


def test_a_pattern_without_meaning_is_refused_everywhere(layer, monkeypatch):
    monkeypatch.setattr(METHODS["wanda"], "refuses", {"structured": "Its scores compare entries."})
    words = r"pattern: 'columns:0.3' .* for Wanda, 0.5 .* or 2:4 .* Its scores compare entries"
    with pytest.raises(BadInput, match=words):
        core.solve(layer(4, 12), "wanda", Structured(sparsity=0.3))
    with pytest.raises(ValidationError, match=words):
        RunSpec(method=make_method("wanda"), pattern=Structured(sparsity=0.3))
    spec, left_out = read_words({"method": "wanda", "pattern": "columns:0.3", "alpha": "0.1"})
    assert (spec.pattern, [item.word for item in left_out]) == (Unstructured(outlier_rows=0.1), ["pattern"])
    assert solve(layer(4, 12), "wanda", Unstructured(sparsity=0.5)).counted_sparsity == 0.5
