"""Layers on which arithmetic is hard, under every method and pattern: finite, counted exactly, or refused in words that help."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core import BadInput, IllConditioned, LayerProblem, SemiStructured, Structured, Unstructured, solve, update
from core.data.windows import Calibration
from core.export.folder import MemoryJournal
from core.run.pipeline import prune
from core.spec import METHODS, UPDATES, Evaluation, RunSpec, make_method
from tests import oracles
from tests.core.families import save_family
from tests.pairwise import pairwise, parametrize

PATTERNS = {"0.6": Unstructured(sparsity=0.6), "3:7 a": SemiStructured(n=3, m=7, outlier_rows=0.2), "columns": Structured(sparsity=0.4)}
ROWS, COLUMNS = 10, 44


def made(rows: int = ROWS, columns: int = COLUMNS, *, tokens: int = 300, scale: np.ndarray | float = 1.0, rank: int | None = None,
         weight: float = 1.0, dtype: torch.dtype = torch.float32) -> LayerProblem:
    """Correlated inputs with means, in float32 as the pass over a model has them; `scale` [b] multiplies the inputs."""
    rng = np.random.default_rng([rows, columns, tokens])
    mixing = rng.standard_normal((columns, rank or columns)) / math.sqrt(columns) + np.eye(columns)[:, : rank or columns]
    inputs = (mixing @ rng.standard_normal((rank or columns, tokens)) + 0.3) * np.reshape(np.broadcast_to(scale, columns), (-1, 1))
    inputs = torch.tensor(inputs, dtype=torch.float32)
    return LayerProblem(weight=torch.tensor(weight * rng.standard_normal((rows, columns))).to(dtype), gram=inputs @ inputs.T, tokens=tokens,
                        mean=inputs.mean(1), name="blocks.4.mlp.down_proj")


def outliers(size: float) -> np.ndarray:
    scale = np.ones(COLUMNS)
    scale[[3, 17, 40]] = size
    return scale


def dead() -> np.ndarray:
    return np.where(np.isin(np.arange(COLUMNS), (0, 5, 6, 7, 43)), 0.0, 1.0)


LAYERS = {
    "dead columns": lambda: made(scale=dead()),
    "all but one dead": lambda: made(scale=np.eye(COLUMNS)[9]),
    "rank-deficient": lambda: made(rank=7),
    "fewer tokens than inputs": lambda: made(tokens=19),
    "one token": lambda: made(tokens=1),
    "one row": lambda: made(rows=1),
    "one column": lambda: made(columns=1),
    "two columns": lambda: made(columns=2),
    "float16": lambda: made(dtype=torch.float16),
    "bfloat16": lambda: made(dtype=torch.bfloat16),
    "large in float16": lambda: made(weight=2e4, dtype=torch.float16),
    "outlier channels": lambda: made(scale=outliers(1e4)),
    "channels nearly silent": lambda: made(scale=outliers(1e-4)),
    "outliers, few tokens": lambda: made(scale=outliers(1e4), tokens=19),
    "inputs of 1e-9": lambda: made(scale=1e-9),
    "inputs of 1e9": lambda: made(scale=1e9),
    "weights of 0": lambda: made(weight=0.0),
    "weights of 1e-9": lambda: made(weight=1e-9),
}
SINGULAR = ("rank-deficient", "one token", "fewer tokens than inputs", "outliers, few tokens")
every_layer = pytest.mark.parametrize("case", LAYERS)
every_method = pytest.mark.parametrize("name", METHODS)


def meaningful(name: str, pattern: str, case: str) -> bool:
    return PATTERNS[pattern].kind not in METHODS[name].refuses and not (pattern == "3:7 a" and case in ("one column", "two columns"))


def damped_error(problem: LayerProblem, weight: torch.Tensor, damping: float) -> float:
    change, diagonal = weight.double() - problem.weight.double(), problem.gram.double().diagonal()
    hessian = problem.gram.double() + damping * diagonal.mean() * torch.eye(len(diagonal), dtype=torch.float64)
    return float(((change @ hessian) * change).sum())


@parametrize("name, pattern, case", pairwise(list(METHODS), list(PATTERNS), list(LAYERS), allowed=meaningful))
def test_the_result_is_finite_and_counted_exactly(name, pattern, case):
    problem, pattern = LAYERS[case](), PATTERNS[pattern]
    parameters = {"optimizer": "sgd", "iterations": 30} if name == "adaprune" else {}
    try:
        solution = solve(problem, name, pattern, **parameters)
    except BadInput as error:
        assert case == "large in float16", "only there the new weights may be more than the dtype holds"
        for word in (problem.name, "a weight of", "torch.float16", "bfloat16 or float32"):
            assert word in str(error)  # noqa: PT017
        return
    asked = oracles.ask(problem.weight.double().numpy(), problem.gram.double().numpy(), pattern)
    per_row = name == "dsnot" or getattr(make_method(name), "granularity", "") == "row"
    assert solution.weight.isfinite().all()
    assert math.isfinite(solution.relative_error)
    assert int(solution.pruned.sum()) == oracles.zeros_asked(asked, problem.weight.shape[1], per_row=per_row)
    assert not solution.weight[solution.pruned].any()
    assert torch.equal(solution.weight[solution.dense_rows], problem.weight[solution.dense_rows])
    if case == "weights of 0":
        assert solution.relative_error == 0
        assert not solution.weight.any()
    if minimizes(name, pattern):
        damping = solution.damping or 0.0
        bare = damped_error(problem, problem.weight.masked_fill(solution.pruned, 0), damping)
        rounding = torch.finfo(problem.weight.dtype).eps**2 if problem.weight.dtype != torch.float32 else 1e-6
        least = rounding * damped_error(problem, torch.zeros_like(problem.weight), damping)
        assert damped_error(problem, solution.weight, damping) <= 1.0001 * bare + least


def minimizes(name: str, pattern: object) -> bool:
    """Where moving weights is no worse than removing them by a theorem: what minimizes the damped error for its mask, steps that are
    short enough, and what moves none. Not so: SparseGPT's and Thanos's frozen columns, ADMM's iterations, a mask that still moves."""
    whole = pattern.kind == "structured"
    return name in ("obc", "adaprune", "wanda", "magnitude", "dsnot") or (whole and name in ("thanos", "frontier"))


@every_layer
@pytest.mark.parametrize("how", [how for how in UPDATES if how != "own"])
def test_every_update_is_finite_on_any_mask(how, case):
    problem = LAYERS[case]()
    for sparsity in (0.2, 0.5, 0.95, 1.0):
        pruned = torch.tensor(np.random.default_rng(7).random(problem.weight.shape) < sparsity)
        found = update(problem, pruned, how)
        assert found.isfinite().all()
        assert not found[pruned].any()
        if how == "exact":
            bare = problem.error(update(problem, pruned, "none"))
            assert float(problem.error(found)) <= float(bare) * (1 + 1e-4) + 1e-6 * float(problem.energy())


@parametrize("name, pattern, case", pairwise([name for name in METHODS if "damping" in METHODS[name].model_fields], list(PATTERNS),
                                             SINGULAR, allowed=meaningful))
def test_a_singular_layer_without_damping_is_solved_or_refused_with_what_to_do(name, pattern, case):
    problem, pattern = LAYERS[case](), PATTERNS[pattern]
    try:
        solution = solve(problem, name, pattern, damping=0.0)
    except IllConditioned as caught:
        error = caught
    else:
        assert solution.weight.isfinite().all()
        return
    assert (error.layer, error.damping) == ("blocks.4.mlp.down_proj", 0.0)
    assert error.pivot < 1e-3
    assert "Raise the damping (try 0.01)" in str(error)
    if "raise_damping" in METHODS[name].model_fields:
        raised = solve(problem, name, pattern, damping=0.0, raise_damping=True)
        assert raised.damping is not None
        assert raised.damping > 0
        assert raised.weight.isfinite().all()


def windowed(folder, **changes) -> RunSpec:
    source = f"windows:{folder / 'windows.npy'}"
    return RunSpec(model=folder.name, calibration=Calibration(source=source, windows=8), evaluation=Evaluation(source=source, windows=5),
                   **changes)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_family("llama", tmp_path_factory.mktemp("models"))


def outcome(spec: RunSpec) -> tuple[object, dict[str, torch.Tensor]]:
    journal = MemoryJournal()
    *_, last = prune(spec, journal=journal)
    return last.result, journal.weights


@every_method
def test_the_same_spec_twice_has_the_same_bits(name, tiny, monkeypatch):
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tiny.parent))
    spec = windowed(tiny, method=make_method(name), pattern=SemiStructured(n=2, m=4))
    (first, weights), (second, again) = outcome(spec), outcome(spec)
    assert first.pruned.perplexity == second.pruned.perplexity
    assert [layer.relative_error for layer in first.layers] == [layer.relative_error for layer in second.layers]
    assert weights.keys() == again.keys()
    assert all(torch.equal(weight, again[layer]) for layer, weight in weights.items())


@pytest.mark.long
def test_the_demo_twice_has_the_same_bits():
    spec = RunSpec(calibration=Calibration(windows=16, length=64), evaluation=Evaluation(windows=4, length=40))
    (first, weights), (second, again) = outcome(spec), outcome(spec)
    assert first.pruned.perplexity == second.pruned.perplexity
    assert all(torch.equal(weight, again[layer]) for layer, weight in weights.items())


def test_damping_that_had_to_be_raised_is_in_the_record(tiny, monkeypatch):
    """One window has fewer tokens than the layers have inputs."""
    monkeypatch.setenv("PRUNESCOPE_MODELS", str(tiny.parent))
    source = f"windows:{tiny / 'windows.npy'}"
    spec = RunSpec(model=tiny.name, method=make_method("thanos", damping=0.0, raise_damping=True),
                   calibration=Calibration(source=source, windows=1), evaluation=Evaluation(source=source, windows=2))
    result, _ = outcome(spec)
    raised = [layer for layer in result.layers if layer.damping]
    assert raised
    assert all(layer.damping >= 0.001 for layer in raised)
    with pytest.raises(IllConditioned, match=r"layers\.\d.*damping λ = 0"):
        outcome(spec.model_copy(update={"method": make_method("thanos", damping=0.0)}))
