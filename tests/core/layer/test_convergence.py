"""Descents for a fixed mask: each reaches what its method does, none beats the optimum, and their order is what theory says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from core import BadInput, LayerProblem, SemiStructured, Unstructured, solve, update
from core.layer.convergence import convergence
from core.records import DESCENTS, Convergence
from tests import oracles


def mask_of(problem: LayerProblem, sparsity: float = 0.5) -> torch.Tensor:
    return solve(problem, "wanda", Unstructured(sparsity=sparsity)).pruned


def trace_of(found: Convergence, name: str) -> tuple[float, ...]:
    return next(trace.errors for trace in found.traces if trace.name == name)


def test_each_descent_is_the_methods_own(layer):
    """After k iterations it stands where the method with k iterations ends: the same classes, not a copy."""
    problem = layer(8, 32)
    pruned = mask_of(problem)
    found = convergence(problem, pruned, iterations=20)
    for k in (1, 7, 20):
        assert trace_of(found, "admm")[k] == solve(problem, "admm1", Unstructured(), iterations=k).relative_error
        for name in ("adam", "sgd"):
            own = solve(problem, "adaprune", Unstructured(), optimizer=name, iterations=k)
            assert trace_of(found, name)[k] == own.relative_error
    exact = problem.relative(problem.error(update(problem, pruned, "exact", iterations=3)))
    assert trace_of(found, "cg")[3] == pytest.approx(exact, rel=1e-12)
    assert found.sweep == problem.relative(problem.error(update(problem, pruned, "sweep")))
    bare = problem.relative(problem.error(problem.weight.masked_fill(pruned, 0)))
    assert all(trace.errors[0] == bare and trace.seconds[0] == 0 for trace in found.traces)


@pytest.mark.parametrize("shape", [
    {"rows": 8, "columns": 32}, {"rows": 6, "columns": 33, "tokens": 11}, {"rows": 7, "columns": 30, "dead": (0, 29)},
    {"rows": 1, "columns": 19}, {"rows": 5, "columns": 1}, {"rows": 8, "columns": 24, "dtype": torch.float32},
])
def test_no_descent_beats_the_optimum(layer, shape):
    problem = layer(**shape)
    pruned = torch.tensor(np.random.default_rng(3).random(problem.weight.shape) < 0.6)
    weight, gram = problem.weight.double().numpy(), problem.gram.double().numpy()
    energy = oracles.energies(weight, gram).sum()
    least = oracles.least_error(weight, gram, pruned.numpy()) / energy
    found = convergence(problem, pruned, iterations=30)
    for trace in found.traces:
        assert len(trace.errors) == len(trace.seconds) == 31
        assert min(trace.errors) >= least * (1 - 1e-4) - 1e-7
        assert min(trace.errors) >= found.optimum
        assert list(trace.seconds) == sorted(trace.seconds)
    assert found.sweep >= found.optimum
    assert found.optimum == pytest.approx(least, rel=1e-3, abs=1e-6)


def test_sgd_and_conjugate_gradients_never_climb_and_come_near_in_order(layer):
    problem = layer(16, 48, tokens=400)
    found = convergence(problem, mask_of(problem, 0.6), iterations=100)
    for name in ("sgd", "cg"):
        errors = trace_of(found, name)
        assert all(after <= before * (1 + 1e-12) for before, after in itertools.pairwise(errors))
    steps = {trace.name: trace.iterations_to(1.05 * found.optimum) for trace in found.traces}
    assert steps["cg"] < 20
    assert steps["cg"] < steps["adam"]
    assert steps["sgd"] is None or steps["sgd"] > steps["cg"]
    assert trace_of(found, "cg")[-1] == pytest.approx(found.optimum, rel=1e-6)


def test_damping_moves_admm_and_the_sweep_only(layer):
    problem = layer(8, 32)
    pruned = solve(problem, "wanda", SemiStructured(n=2, m=4)).pruned
    light, heavy = (convergence(problem, pruned, iterations=5, damping=damping) for damping in (0.01, 1.0))
    for name in DESCENTS:
        assert (trace_of(light, name) == trace_of(heavy, name)) == (name != "admm")
    assert light.sweep < heavy.sweep


def test_a_record_goes_round_through_json_and_says_when_an_error_was_reached(layer):
    problem = layer(4, 12)
    found = convergence(problem, mask_of(problem), iterations=8, descents=("cg",))
    assert Convergence.model_validate_json(found.model_dump_json()) == found
    (trace,) = found.traces
    assert trace.iterations_to(trace.errors[0]) == 0
    assert trace.iterations_to(-1.0) is None


@pytest.mark.parametrize("values", [{"iterations": 0}, {"iterations": 10**6}, {"descents": ("newton",)}])
def test_what_cannot_be_traced_is_refused(layer, values):
    problem = layer(4, 12)
    with pytest.raises(BadInput):
        convergence(problem, mask_of(problem), **values)
    with pytest.raises(BadInput, match="pruned"):
        convergence(problem, torch.zeros(4, 12))
