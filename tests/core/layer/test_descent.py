"""The descents, each step against its formula in float64: compiled, with a library's product and compiled passes, and by torch alone."""

import numpy as np
import pytest
import torch

from core.layer import descent
from core.layer.descent import Adam, Conjugate, Sgd
from core.layer.problem import LayerProblem
from core.linalg import conjugate_gradients as linalg
from core.linalg import rows
from core.linalg import threads as ranges
from core.linalg.cancellation import cancel_unless
from core.spec.errors import Cancelled
from tests.pairwise import pairwise, parametrize

SHAPES = [(1, 1), (7, 5), (40, 33), (3, 64), (37, 130)]
DESCENTS = {"cg": Conjugate, "adam": Adam, "sgd": Sgd}
TOLERANCE = {torch.float64: 1e-9, torch.float32: 2e-3}


def layer(count: int, size: int, dtype: torch.dtype = torch.float64) -> tuple[LayerProblem, torch.Tensor]:
    """Inputs that are a little alike, the last of them dead where there is another."""
    generator = torch.Generator().manual_seed(count * size)
    inputs, common = (torch.randn(some, 3 * size, dtype=torch.float64, generator=generator) for some in (size, 1))
    inputs += 0.3 * common
    if size > 1:
        inputs[-1] = 0
    weight = torch.randn(count, size, dtype=torch.float64, generator=generator)
    pruned = torch.rand(count, size, generator=generator) < 0.5
    return LayerProblem(weight=weight.to(dtype), gram=(inputs @ inputs.T).to(dtype), tokens=3 * size), pruned


def adam_by_the_paper(problem: LayerProblem, pruned: torch.Tensor, times: int) -> np.ndarray:
    """Kingma & Ba 2015, Alg. 1, as it stands there, of what core.descent.Adam minimizes."""
    original, gram = problem.weight.double().numpy(), problem.gram.double().numpy()
    size, unit = np.sqrt(np.mean(original**2)), np.mean(np.diag(gram))
    kept = ~pruned.numpy()
    x, m, v = -original * ~kept / size, np.zeros_like(original), np.zeros_like(original)
    for t in range(1, times + 1):
        g = (x @ gram) / unit * kept
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return (original + size * x) * kept


def gradient_by_hand(problem: LayerProblem, pruned: torch.Tensor, times: int) -> np.ndarray:
    original, gram = problem.weight.double().numpy(), problem.gram.double().numpy()
    rate = 1 / min(np.linalg.norm(gram), np.abs(gram).sum(1).max())
    x = original * ~pruned.numpy()
    for _ in range(times):
        x = x - rate * ((x - original) @ gram) * ~pruned.numpy()
    return x


def conjugate_by_krylov(problem: LayerProblem, pruned: torch.Tensor, times: int) -> np.ndarray:
    """Of every row the least error in x₀ + span{(D⁻¹A)^k D⁻¹r₀, k < times}: what Jacobi-CG's iterates are (Hestenes & Stiefel 1952)."""
    original, gram = problem.weight.double().numpy(), problem.gram.double().numpy()
    found = original * ~pruned.numpy()
    for row, gone in enumerate(pruned.numpy()):
        kept = np.flatnonzero(~gone & (np.diag(gram) > 0))
        system, right = gram[np.ix_(kept, kept)], (gram @ (original[row] * gone))[kept]
        scale, basis = 1 / np.diag(system), []
        vector = scale * right
        for _ in range(min(times, len(kept))):
            for known in 2 * basis:  # orthogonal as A measures, so that the span's best is a sum; twice, for the last digits
                vector = vector - known * (known @ system @ vector)
            length = vector @ system @ vector
            if length <= 0:
                break
            basis.append(vector / np.sqrt(length))
            vector = scale * (system @ basis[-1])
        found[row, kept] += sum((known * (known @ right) for known in basis), np.zeros(len(kept)))
    return found


EXPECTED = {"cg": conjugate_by_krylov, "adam": adam_by_the_paper, "sgd": gradient_by_hand}


@pytest.fixture(params=["compiled", "a library's product", "torch"])
def way(request, monkeypatch):
    """How an iteration is made: all of it compiled, only its passes, or nothing, as on a GPU."""
    most = 1024 if request.param == "compiled" else 0
    monkeypatch.setattr(rows, "_MATRIX", most)
    monkeypatch.setattr(rows, "_MATRIX_BESIDE_FAST", most)
    if request.param == "torch":
        for module in (descent, linalg):
            monkeypatch.setattr(module, "passes", lambda *tensors: False)


@pytest.mark.usefixtures("way")
@parametrize("name, shape, dtype", pairwise(list(DESCENTS), SHAPES, [torch.float64, torch.float32]))
def test_iterates_are_those_of_the_formula(name, shape, dtype):
    problem, pruned = layer(*shape, dtype)
    made = DESCENTS[name](problem, pruned)
    for done, more in ((0, 0), (1, 1), (3, 2), (5, 2)):
        made.iterate(more)
        expected = EXPECTED[name](problem, pruned, done)
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(made.weight.double().numpy(), expected, atol=TOLERANCE[dtype] * scale, rtol=0)
        assert not made.weight[pruned].any()


@pytest.mark.parametrize("name", DESCENTS)
def test_neither_threads_nor_pieces_move_a_bit(name, monkeypatch):
    problem, pruned = layer(100, 40, torch.float32)
    before, found = torch.get_num_threads(), []
    try:
        for threads, piece in ((1, ranges._PIECE), (3, ranges._PIECE), (4, 1)):
            monkeypatch.setattr(ranges, "_PIECE", piece)
            torch.set_num_threads(1)  # what it begins with is torch's own product
            made = DESCENTS[name](problem, pruned)
            torch.set_num_threads(threads)
            made.iterate(9)
            found.append(made.weight)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", DESCENTS)
def test_a_descent_ends_when_nobody_waits(name, monkeypatch):
    monkeypatch.setattr(ranges, "_PIECE", 1)
    problem, pruned = layer(40, 33)
    looks = iter([True, True, False])
    made = DESCENTS[name](problem, pruned)
    with cancel_unless(lambda: next(looks)), pytest.raises(Cancelled):
        made.iterate(50)


def test_conjugate_gradients_rest_once_they_have_arrived():
    """Far beyond the last digit slopes become too small to divide by: nothing may turn to NaN."""
    problem, pruned = layer(20, 30)
    made = Conjugate(problem, pruned)
    made.iterate(2000)
    weight, gram = problem.weight.numpy(), problem.gram.numpy()
    for row, gone in enumerate(pruned.numpy()):
        kept = np.flatnonzero(~gone & (np.diag(gram) > 0))
        best = weight[row, kept] + np.linalg.solve(gram[np.ix_(kept, kept)], gram[kept] @ (weight[row] * gone))
        np.testing.assert_allclose(made.weight[row, kept].numpy(), best, atol=1e-9)


def test_a_weight_that_lies_across_memory_descends_in_place():
    problem, pruned = layer(40, 33)
    across = problem.with_weight(problem.weight.T.contiguous().T)
    for make in DESCENTS.values():
        straight, crossed = make(problem, pruned), make(across, pruned)
        straight.iterate(5)
        crossed.iterate(5)
        assert torch.allclose(straight.weight, crossed.weight, atol=1e-12)
