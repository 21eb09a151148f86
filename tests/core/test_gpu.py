"""Everything that runs on a GPU gives there what it gives on the CPU, and waits for no value in its inner loops.

On the pretended GPU (tests/pretended_gpu.py) everywhere; on a real one too, where there is one.
"""

import pytest
import torch

from core import IllConditioned, LayerProblem, optimum, prune, solve, update
from core.layer.convergence import DESCENTS, convergence
from core.layer.masks import smallest
from core.layer.summaries import error_parts, mask_png, reduce_blocks, weight_histogram
from core.models.open_model import open_model
from core.records.overlaps import count_masks
from core.run import pipeline
from core.spec import METHODS, UPDATES, make_method, parse_pattern
from core.whatif.outlier_rows import energy_shares, layer_point, layer_rows, model_point
from core.whatif.session import Session

PATTERNS = ("0.5", "2:4", "columns:0.3")
CASES = [(name, word) for name in METHODS for word in PATTERNS if parse_pattern(word).kind not in METHODS[name].refuses]
FEW = 12  # waits for a layer, whatever its size


def layer(rows: int = 24, columns: int = 48, gpu=None) -> LayerProblem:
    """Correlated inputs with a mean, one of them dead."""
    generator = torch.Generator().manual_seed(columns)
    inputs = torch.randn(columns, 4 * columns, generator=generator) + 0.5
    inputs[1::2] += inputs[::2]
    inputs[3] = 0
    weight, place = torch.randn(rows, columns, generator=generator), gpu.put if gpu else lambda tensor: tensor
    return LayerProblem(weight=place(weight), gram=place(inputs @ inputs.T), mean=place(inputs.mean(1)), tokens=4 * columns)


@pytest.mark.parametrize(("name", "word"), CASES)
def test_every_method_finds_there_what_it_finds_here(name, word, gpu):
    here, there = (solve(problem, name, parse_pattern(word)) for problem in (layer(), layer(gpu=gpu)))
    assert there.weight.is_cuda
    assert there.counted_sparsity == here.counted_sparsity
    assert there.relative_error == pytest.approx(here.relative_error, rel=5e-3)
    assert (there.pruned.cpu() == here.pruned).float().mean() > 0.97, "rounding may choose between what is nearly equal"
    assert there.relative_error >= 0.999 * layer(gpu=gpu).relative(layer(gpu=gpu).error(optimum(layer(gpu=gpu), there.pruned)))


@pytest.mark.parametrize("word", [pytest.param("0.5", marks=pytest.mark.long), "2:4", "columns:0.3"])
def test_coupled_rows_are_pruned_there_as_here(word, gpu):
    mix = torch.randn(24, 24, generator=torch.Generator().manual_seed(0)) / 5 + torch.eye(24)
    weights = mix @ mix.T
    there = solve(layer(gpu=gpu).with_weight(layer(gpu=gpu).weight, output_weight=gpu.put(weights)), "frontier", parse_pattern(word))
    here = solve(layer().with_weight(layer().weight, output_weight=weights), "frontier", parse_pattern(word))
    assert there.weight.is_cuda
    assert there.counted_sparsity == here.counted_sparsity
    costs = [float((weights @ change @ layer().gram * change).sum())
             for change in (found.weight.cpu() - layer().weight for found in (here, there))]
    assert costs[1] == pytest.approx(costs[0], rel=2e-2)


def waits_of(name, word, size, gpu):
    gpu.waits.clear()
    solve(layer(size, size, gpu), name, parse_pattern(word))
    return sum(gpu.waits.values())


@pytest.mark.parametrize(("name", "word"), [case for case in CASES if case[0] not in ("frontier", "alps")])
def test_no_method_waits_for_a_value_in_its_inner_loops(name, word, gpu):
    if gpu.waits is None:
        pytest.skip("waits are counted on the pretended GPU")
    waits = [waits_of(name, word, size, gpu) for size in (32, 288)]  # of 1 and 3 blocks
    assert waits[0] == waits[1] <= FEW, gpu.waits.most_common(3)


@pytest.mark.parametrize("word", PATTERNS)
def test_alps_waits_once_where_its_penalty_may_change(word, gpu):
    """A penalty follows what has changed in the mask: one value in every three iterations, of 300 at most."""
    if gpu.waits is None:
        pytest.skip("waits are counted on the pretended GPU")
    assert waits_of("alps", word, 96, gpu) <= FEW + 100, gpu.waits.most_common(3)


@pytest.mark.parametrize(("word", "most"), [("0.5", 0.4), ("2:4", 0.4), ("columns:0.3", 3)])
def test_the_searches_of_frontier_wait_far_less_than_they_move(word, most, gpu):
    """Entries: once in some moves of all rows together. Columns: once an exchange, and what the rounds are."""
    if gpu.waits is None:
        pytest.skip("waits are counted on the pretended GPU")
    waits_of("frontier", word, 96, gpu)
    assert gpu.waits.total() < FEW + most * 96, gpu.waits.most_common(3)


@pytest.mark.parametrize("how", [how for how in UPDATES if how != "own"])
def test_every_update_is_the_same_there(how, gpu):
    masks = [smallest((problem.weight * problem.input_norm).abs(), problem.weight.numel() // 2) for problem in (layer(), layer(gpu=gpu))]
    assert torch.equal(masks[0], masks[1].cpu())
    here, there = update(layer(), masks[0], how), update(layer(gpu=gpu), masks[1], how)
    assert there.is_cuda
    assert not there.cpu()[masks[0]].any()
    assert float(layer().error(there.cpu())) == pytest.approx(float(layer().error(here)), rel=2e-3)


def test_a_count_on_the_device_is_not_read(gpu):
    scores = torch.rand(20, 30, generator=torch.Generator().manual_seed(0))
    there, count = gpu.put(scores), gpu.put(torch.tensor(77))
    if gpu.waits is not None:
        gpu.waits.clear()
    mask = smallest(there, count)
    assert not gpu.waits
    assert torch.equal(mask.cpu(), smallest(scores, 77))


def test_convergence_ends_at_the_same_optimum(gpu):
    traces = []
    for problem in (layer(), layer(gpu=gpu)):
        pruned = solve(problem, "wanda", parse_pattern("0.5")).pruned
        traces.append(convergence(problem, pruned, descents=tuple(DESCENTS), iterations=20))
    assert traces[1].optimum == pytest.approx(traces[0].optimum, rel=1e-3)
    assert traces[1].sweep == pytest.approx(traces[0].sweep, rel=1e-3)
    for here, there in zip(traces[0].traces, traces[1].traces, strict=True):
        assert there.errors == pytest.approx(here.errors, rel=1e-2)


def test_a_failed_factor_says_its_pivot(gpu):
    gram = torch.ones(8, 8) - 0.5 * torch.eye(8)
    problem = LayerProblem(weight=gpu.put(torch.ones(4, 8)), gram=gpu.put(gram), tokens=8, name="q_proj")
    with pytest.raises(IllConditioned, match="q_proj"):
        solve(problem, "sparsegpt", parse_pattern("0.5"), damping=0.0)


@pytest.mark.parametrize("changes", [
    {}, {"propagation": 0.5, "true_sequential": True}, {"fisher": 0.5},
    *(pytest.param(changes, marks=pytest.mark.long) for changes in (
        {"allocation": "marginal"}, {"refit": True}, {"reconstruct": 1}, {"fisher": 0.5, "method": make_method("frontier", rounds=2)}))])
def test_a_run_there_is_a_run_here(changes, small, gpu, monkeypatch):
    spec = small[0](**{"allocation": "even", **changes})
    *_, here = prune(spec)
    monkeypatch.setattr(pipeline, "choose_device", lambda asked: gpu.device)
    *_, there = prune(spec)
    assert there.result.dense.perplexity == pytest.approx(here.result.dense.perplexity, rel=1e-5)
    assert there.result.pruned.perplexity == pytest.approx(here.result.pruned.perplexity, rel=1e-2)
    for one, other in zip(here.result.layers, there.result.layers, strict=True):
        assert other.relative_error == pytest.approx(one.relative_error, rel=2e-2)
        assert other.counted_sparsity == pytest.approx(one.counted_sparsity, abs=2e-3)


@pytest.mark.long
@pytest.mark.parametrize("changes", [{}, {"allocation": "even"}])
def test_a_session_there_answers_as_one_here(changes, small, gpu):
    spec = small[0](**changes)
    sessions = [Session(open_model(spec, device)) for device in (torch.device("cpu"), gpu.device)]
    here, there = (session.preview(spec) for session in sessions)
    assert there.dense.perplexity == pytest.approx(here.dense.perplexity, rel=1e-5)
    assert there.pruned.perplexity == pytest.approx(here.pruned.perplexity, rel=1e-2)
    assert all(linear.weight.is_cuda for linear in sessions[1].linears.values())
    quick = sessions[1].preview(spec.model_copy(update={"method": make_method("frontier")}), at_once=True)
    assert quick.counted_sparsity == pytest.approx(0.5, abs=1e-2)


def test_what_a_layer_shows_is_the_same_there(small, gpu):
    spec = small[0](allocation="even", pattern=parse_pattern("0.5", alpha=0.1))
    sessions = [Session(open_model(spec, device)) for device in (torch.device("cpu"), gpu.device)]
    name = sessions[0].layers[0].name
    solutions = [session.solve(name, spec) for session in sessions]
    assert mask_png(solutions[0].pruned) == mask_png(solutions[1].pruned)
    here, there = (weight_histogram(session.problem(name).weight, solution) for session, solution in zip(sessions, solutions, strict=True))
    assert torch.equal(there.kept_before, here.kept_before)
    assert torch.equal(there.removed_before, here.removed_before)
    (rows, columns), (others, other_columns) = (error_parts(session.problem(name), solution.weight)
                                                for session, solution in zip(sessions, solutions, strict=True))
    torch.testing.assert_close(others.cpu(), rows, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(other_columns.cpu(), columns, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(reduce_blocks(solutions[1].weight, 8).cpu(), reduce_blocks(solutions[0].weight, 8), rtol=1e-3, atol=1e-4)
    assert count_masks(solutions[1].pruned, solutions[1].pruned) == count_masks(solutions[0].pruned, solutions[0].pruned)
    points = [layer_point(session, name, spec, 2) for session in sessions]
    assert (points[1].error, *points[1].random) == pytest.approx((points[0].error, *points[0].random), rel=1e-3)
    assert [share.share for share in energy_shares(sessions[1], 0.1)] == pytest.approx(
        [share.share for share in energy_shares(sessions[0], 0.1)], rel=1e-4)
    assert (layer_rows(sessions[1], name, spec).rows == layer_rows(sessions[0], name, spec).rows).all()
    assert model_point(sessions[1], spec, None).median_error == pytest.approx(model_point(sessions[0], spec, None).median_error, rel=1e-2)


def test_the_pretended_gpu_refuses_what_a_real_one_refuses(gpu):
    there, here = gpu.put(torch.ones(3, 3)), torch.ones(3, 3)
    with pytest.raises(RuntimeError, match="same device"):
        there @ here
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    assert torch.equal((there @ there).cpu(), here @ here)
    if gpu.waits is not None:
        gpu.waits.clear()
        float(there[0, 0])
        there[there > 0]
        assert gpu.waits.total() == 2
