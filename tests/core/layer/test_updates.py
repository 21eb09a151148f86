"""Mask and update apart: every update on masks of every kind, against the methods they come from and against the textbook."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core import BadInput, IllConditioned, LayerProblem, SemiStructured, Structured, Unstructured, optimum, solve, update
from core.spec import METHODS, UPDATES, RunSpec, make_method
from tests import oracles
from tests.pairwise import pairwise, parametrize

PATTERNS = {"0.5": Unstructured(sparsity=0.5), "0.9 a": Unstructured(sparsity=0.9, outlier_rows=0.3), "2:4": SemiStructured(n=2, m=4),
            "3:7": SemiStructured(n=3, m=7), "columns": Structured(sparsity=0.4)}
SHAPES = {"16x32": {"rows": 16, "columns": 32}, "dead": {"rows": 7, "columns": 30, "dead": (0, 5, 29)},
          "rank-deficient": {"rows": 6, "columns": 33, "tokens": 11},
          "one column": {"rows": 5, "columns": 1}, "one row": {"rows": 1, "columns": 19}}
GIVEN = [name for name in UPDATES if name != "own"]
every_update = pytest.mark.parametrize("how", GIVEN)
every_pattern = pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def mask_of(problem: LayerProblem, seed: int = 0, sparsity: float = 0.5) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).random(problem.weight.shape) < sparsity)


def close(found: torch.Tensor, expected: torch.Tensor | np.ndarray) -> None:
    np.testing.assert_allclose(found.numpy(), np.asarray(expected), rtol=1e-7, atol=1e-9)


def fits(problem: LayerProblem, pattern: object) -> bool:
    return pattern.kind != "semi-structured" or pattern.m <= problem.weight.shape[1]


# An update on its method's own mask is the method.


@every_shape
@every_pattern
def test_the_sweep_on_sparsegpts_mask_is_sparsegpt(layer, shape, pattern):
    problem = layer(**shape)
    if not fits(problem, pattern):
        pytest.skip("no group fits")
    own = solve(problem, "sparsegpt", pattern, block_size=28)
    close(solve(problem, "sparsegpt", pattern, block_size=28, update="sweep").weight, own.weight)
    active = [i for i in range(len(own.weight)) if i not in own.dense_rows.tolist()]
    if active and not own.refitted_rows:  # `update` alone has no guard
        close(update(problem.with_weight(problem.weight[active]), own.pruned[active], "sweep"), own.weight[active])


@parametrize("shape, pattern, block_size", pairwise(list(SHAPES), list(PATTERNS), [1, 14, None]))
def test_blocks_on_thanos_mask_are_thanos(layer, shape, pattern, block_size):
    problem, pattern = layer(**SHAPES[shape]), PATTERNS[pattern]
    if not fits(problem, pattern):
        pytest.skip("no group fits")
    own = solve(problem, "thanos", pattern, block_size=block_size, damping=0.05)
    again = solve(problem, "thanos", pattern, block_size=block_size, damping=0.05, update="block")
    close(again.weight, own.weight)
    if len(own.weight) > 1:  # one row is a layer of whole columns: the same weights by another factorization
        assert torch.equal(again.weight, own.weight)
    assert again.damping == own.damping


@every_pattern
@pytest.mark.parametrize(("name", "how", "parameters"), [
    ("admm1", "admm", {}), ("adaprune", "gradient", {}), ("wanda", "none", {}), ("magnitude", "none", {}), ("dsnot", "none", {}),
])
def test_the_other_methods_are_their_update_too(layer, name, how, parameters, pattern):
    problem = layer(8, 28)
    if pattern.kind in METHODS[name].refuses:
        pytest.skip("refused")
    own = solve(problem, name, pattern, **parameters)
    assert torch.equal(solve(problem, name, pattern, update=how, **parameters).weight, own.weight)


# Against the textbook and against each other.


@every_shape
def test_the_sweep_is_the_textbooks(layer, shape):
    problem = layer(**shape)
    mask = mask_of(problem)
    swept, _ = oracles.sweep(problem.weight.numpy(), problem.gram.numpy(), mask.numpy(), 0.2)
    close(update(problem, mask, "sweep", damping=0.2), swept)


@every_shape
def test_blocks_of_one_are_the_sweep_and_one_block_is_the_damped_optimum(layer, shape):
    problem = layer(**shape)
    for mask in (mask_of(problem), mask_of(problem)[:1].expand_as(problem.weight)):
        close(update(problem, mask, "block", block_size=1), update(problem, mask, "sweep"))
        whole = update(problem, mask, "block", block_size=problem.weight.shape[1], damping=0.3)
        hessian = oracles.damped(problem.gram.numpy(), 0.3)
        close(whole, oracles.best_weights(problem.weight.numpy(), hessian, mask.numpy()))


@every_shape
@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.7, 1.0])
def test_exact_reaches_the_optimum_and_no_update_beats_it(layer, shape, sparsity):
    problem = layer(**shape)
    mask = mask_of(problem, 1, sparsity)
    weight, gram = problem.weight.numpy(), problem.gram.numpy()
    least = oracles.least_error(weight, gram, mask.numpy())
    energy = float(problem.energy())
    assert float(problem.error(optimum(problem, mask))) == pytest.approx(least, rel=1e-3, abs=1e-7 * energy)
    for how in GIVEN:
        found = update(problem, mask, how)
        assert not found[mask].any()
        assert float(problem.error(found)) >= least * (1 - 1e-9) - 1e-9 * energy, how
    slack = 1e-4 * energy if shape.get("tokens") else 1e-9 * energy
    assert float(problem.error(update(problem, mask, "exact"))) <= 1.01 * least + slack


@every_shape
def test_the_gentle_updates_are_no_worse_than_none(layer, shape):
    """Gradient steps are kept short enough, and the others minimize the whole row; the sweep may lose on a mask not its own."""
    problem = layer(**shape)
    mask = mask_of(problem, 2)
    bare = float(problem.error(update(problem, mask, "none")))
    for how in ("exact", "gradient"):
        assert float(problem.error(update(problem, mask, how))) <= bare * (1 + 1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_none_leaves_kept_weights_bit_for_bit(layer, dtype):
    problem = layer(6, 20, dtype=dtype)
    for name in ("sparsegpt", "thanos", "frontier", "obc"):
        solution = solve(problem, name, PATTERNS["0.5"], update="none")
        assert torch.equal(solution.weight, problem.weight.masked_fill(solution.pruned, 0))


@every_update
@every_pattern
def test_the_mask_is_the_methods_whatever_the_update(layer, how, pattern):
    problem = layer(9, 28, dtype=torch.float32)
    for name in ("wanda", "thanos", "frontier"):
        own, other = solve(problem, name, pattern), solve(problem, name, pattern, update=how)
        assert torch.equal(own.pruned, other.pruned)
        assert torch.equal(own.dense_rows, other.dense_rows)
        assert torch.equal(other.weight[other.dense_rows], problem.weight[other.dense_rows])
        assert not other.weight[other.pruned].any()


@every_update
def test_an_update_without_a_mask_changes_nothing_and_no_update_changes_its_inputs(layer, how):
    problem, clean = layer(5, 12), layer(5, 12)
    mask = mask_of(problem)
    close(update(problem, torch.zeros_like(mask), how), problem.weight)
    first = update(problem, mask, how)
    assert torch.equal(update(problem, mask, how), first)
    assert torch.equal(problem.weight, clean.weight)
    assert torch.equal(problem.gram, clean.gram)
    assert torch.equal(mask, mask_of(clean))


def test_a_refit_is_the_exact_update_from_the_methods_own_weights(layer):
    problem = layer(8, 40)
    for name in ("wanda", "thanos"):
        own = solve(problem, name, PATTERNS["0.5"])
        refit = solve(problem, name, PATTERNS["0.5"], refit=True)
        assert torch.equal(solve(problem, name, PATTERNS["0.5"], update="exact").weight, refit.weight)
        assert torch.equal(update(problem, own.pruned, "exact", start=own.weight), refit.weight)


# What is refused, and what is said.


@pytest.mark.parametrize(("how", "values", "field"), [
    ("own", {}, "update"), ("thanos", {}, "update"), ("sweep", {"block_size": 4}, "block_size"), ("none", {"damping": 0.1}, "damping"),
    ("exact", {"damping": 0.1}, "damping"), ("block", {"iterations": 3}, "iterations"), ("admm", {"start": torch.zeros(4, 6)}, "start"),
])
def test_what_an_update_has_not_is_refused(layer, how, values, field):
    problem = layer(4, 6)
    with pytest.raises(BadInput) as caught:
        update(problem, mask_of(problem), how, **values)
    assert caught.value.field == field


def test_a_mask_of_another_layer_is_refused(layer):
    with pytest.raises(BadInput, match="pruned"):
        update(layer(4, 6), torch.zeros(4, 7, dtype=torch.bool), "sweep")


def test_two_updates_that_undo_each_other_are_refused(layer):
    with pytest.raises(BadInput, match="refit replaces"):
        solve(layer(4, 6), "wanda", PATTERNS["0.5"], update="sweep", refit=True)
    with pytest.raises(ValueError, match="refit replaces"):
        RunSpec(update="exact", refit=True)
    assert RunSpec(method=make_method("wanda"), update="block").update == "block"


@pytest.mark.parametrize("how", ["sweep", "block"])
def test_damping_that_had_to_be_raised_is_said(how):
    weight, gram = oracles.random_layer(3, 8, tokens=1)
    gram[0, 0] -= 1e-6 * gram[0, 0]
    problem = LayerProblem(weight=torch.tensor(weight), gram=torch.tensor(gram), tokens=1, name="blocks.2.down")
    mask = mask_of(problem)
    with pytest.raises(IllConditioned, match=r"blocks\.2\.down"):
        update(problem, mask, how, damping=0.0)
    assert update(problem, mask, how, damping=0.0, raise_damping=True).isfinite().all()
    solution = solve(problem, "thanos", PATTERNS["0.5"], damping=0.0, raise_damping=True, update=how)
    assert solution.damping > 0


@every_update
def test_damping_in_the_solution_is_the_updates(layer, how):
    assert solve(layer(4, 12), "wanda", PATTERNS["0.5"], update=how).damping == {"sweep": 0.01, "block": 0.01, "admm": 0.1}.get(how)


def test_the_exact_update_begins_at_the_weights_it_is_given(layer):
    problem = layer(8, 40)
    mask = mask_of(problem)
    best = optimum(problem, mask)
    close(update(problem, mask, "exact", start=best, iterations=1), best)
    assert float(problem.error(update(problem, mask, "exact", iterations=1))) > 1.01 * float(problem.error(best))
