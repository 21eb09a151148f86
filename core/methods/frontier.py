"""Ours: ADMM on mask and weights with a slowly rising penalty, a search over swaps, and a refit (docs/methods/frontier.md).

Minimizes tr((Ŵ−W)H(Ŵ−W)ᵀ) over Ŵ and its mask, H = G + λ·mean(diag G)·I, in three steps.

1. core/layer/splitting.py with ρ from 0.03 to 1, always the same sequence: its inverses serve all layers with this input, and no value
   is read while it goes on. Ending below 1 leaves the masks of weakly correlated layers unsettled.
2. Swaps of a kept with a pruned entry, each judged exactly (core/layer/swap_search.py), in layers of up to `search` inputs.
3. Conjugate gradients for that mask.

Whole columns: all rows keep the same, so each round removes those of least loss exactly, Σ_i Ŵ_ij²/[H_KK⁻¹]_jj, and swaps follow. A column
does not come back by its score: of collinear columns only one is worth restoring.

With Fisher weighting rows are coupled (core/layer/coupled_rows.py): tr(CΔHΔᵀ). Each row is then searched with what it
can make up for the others as its aim, some rows at a time.
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from core.layer.coupled_rows import aim, coupled_cg, turns, uncoupled
from core.layer.masks import select_part
from core.layer.problem import LayerProblem
from core.layer.splitting import Splitting, by_inverse, coupled
from core.layer.steps import Outcome, Step
from core.layer.swap_search import exchange_columns, exchange_entries
from core.linalg.cholesky import cholesky
from core.linalg.conjugate_gradients import cg_steps
from core.linalg.products import product
from core.spec.methods import Frontier
from core.spec.patterns import Columns, Entries, Groups, Target

_LEAST_RHO, _MOST_RHO = 0.03, 1.0


def kernel(problem: LayerProblem, target: Target, method: Frontier) -> Generator[Step, None, Outcome]:
    """Entries and groups by splitting, columns by rounds. Raises IllConditioned."""
    if isinstance(target, Columns):
        return (yield from _columns(problem, target, method))
    return (yield from _entries(problem, target, method))


def _entries(problem: LayerProblem, target: Entries | Groups, method: Frontier) -> Generator[Step, None, Outcome]:
    """rounds·b³ + (rounds·steps + 2·polish)·c·b², and the swaps (the first polish only before them).

    Where rows are coupled, an eigendecomposition of H and of C and (2·rounds·steps + 4·polish)·(c·b² + c²·b).
    """
    coupling = problem.output_weight
    weight, pruned = _split(problem, target, method)
    if bool(pruned.any()):
        hessian = problem.hessian(method.damping)
        residual = product(problem.working_weight - weight, hessian)
        polish = method.polish if coupling is None else 2 * method.polish
        if method.searches(weight.shape[1]) and not bool(pruned.all()):
            _refit(hessian, coupling, weight, residual, pruned, polish)
            search = _search if coupling is None else _search_in_turns
            search(problem, method, weight, residual, pruned, target.m if isinstance(target, Groups) else 0)
        _refit(hessian, coupling, weight, residual, pruned, polish)
    yield Step(columns=(0, weight.shape[1]), pruned=pruned, weight=weight, loss=None)
    return Outcome(weight=weight, pruned=pruned, damping=method.damping)


def _split(problem: LayerProblem, target: Entries | Groups, method: Frontier) -> tuple[Tensor, Tensor]:
    """The weights [c, b] and the mask after the last ρ."""
    rounds, steps = method.schedule(problem.weight.shape[1])
    if problem.output_weight is None:
        resolve = by_inverse(problem, method.damping, rounds)
    else:
        resolve = coupled(problem, method.damping, problem.output_weight)
    state = Splitting(problem, target, method.damping, resolve)
    for done in range(rounds):
        rho = _MOST_RHO * (_LEAST_RHO / _MOST_RHO) ** ((rounds - 1 - done) / max(1, rounds - 1))
        for _ in range(steps):
            state.iterate(rho)
    return state.solution(), state.pruned


def _refit(hessian: Tensor, coupling: Tensor | None, weight: Tensor, residual: Tensor, pruned: Tensor, iterations: int) -> None:
    if coupling is None:
        cg_steps(hessian, weight, residual, pruned, iterations=iterations)
    else:
        coupled_cg(coupling, hessian, weight, residual, pruned, iterations=iterations)


def _search(problem: LayerProblem, method: Frontier, weight: Tensor, residual: Tensor, pruned: Tensor, m: int) -> None:
    exchange_entries(problem, method.damping, weight, residual, pruned, m=m, patience=method.patience)


def _search_in_turns(problem: LayerProblem, method: Frontier, weight: Tensor, residual: Tensor, pruned: Tensor, m: int) -> None:
    """The search, in place, of rows that are coupled: each turn's aim at what is lost by then."""
    hessian, original, coupling = problem.hessian(method.damping), problem.working_weight, problem.output_weight
    assert coupling is not None
    for rows in turns(coupling):
        goal = aim(coupling, original, weight, rows)
        part, mask = weight[rows], pruned[rows]
        _search(problem.with_weight(goal), method, part, product(goal - part, hessian), mask, m)
        weight[rows], pruned[rows] = part, mask
    residual.copy_(product(original - weight, hessian))


def _columns(problem: LayerProblem, target: Columns, method: Frontier) -> Generator[Step, None, Outcome]:
    """Each round solved exactly; v_j = Σ_i Ŵ_ij²/[H_KK⁻¹]_jj chooses; then exchanges. 2b³ + s·(b³ + c·b²), and c·b²/4 an exchange.

    Where rows are coupled the columns are those of LᵀW; the best weights for them are the same.
    """
    hessian, coupling, layer = problem.hessian(method.damping), problem.output_weight, problem
    if coupling is not None:
        problem = problem.with_weight(uncoupled(coupling, problem.working_weight, layer=problem.name))
    weight, inverse = problem.working_weight, torch.cholesky_inverse(cholesky(hessian, layer=problem.name, damping=method.damping))
    removed = torch.zeros(weight.shape[1], dtype=torch.bool, device=weight.device)
    rounds = method.column_rounds
    for step in range(1, rounds + 1):
        scores = (weight.square().sum(0) / inverse.diagonal()).masked_fill_(problem.dead, -1)
        scores.masked_fill_(removed, -2)  # those that are gone stay so: before the dead inputs
        before, removed = removed, select_part(scores[None], target, step, rounds)[0]
        weight, inverse = _without(weight, inverse, (removed & ~before).nonzero()[:, 0], problem.name)
    weight, inverse = _fit(problem, hessian, removed, method.damping)
    if method.search:
        removed = exchange_columns(problem, hessian, weight, inverse, removed)
    if method.search or coupling is not None:
        weight, _ = _fit(layer, hessian, removed, method.damping)
    pruned = removed.expand_as(weight).clone()
    yield Step(columns=(0, weight.shape[1]), pruned=pruned, weight=weight, loss=None)
    return Outcome(weight=weight, pruned=pruned, damping=method.damping)


def _without(weight: Tensor, inverse: Tensor, gone: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """Ŵ − Ŵ_S ([A]_SS)⁻¹ A_S: and A − A_:S ([A]_SS)⁻¹ A_S:, A = H_KK⁻¹ [b, b], zero outside K, S = `gone` columns of K: OBS for a group."""
    share = torch.cholesky_solve(inverse[gone], cholesky(inverse[gone][:, gone], layer=layer))
    return weight - product(weight[:, gone], share), inverse - product(inverse[:, gone], share)


def _fit(problem: LayerProblem, hessian: Tensor, removed: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """Ŵ_K = W_K + W_S H_SK (H_KK)⁻¹ [c, b] and (H_KK)⁻¹, K the columns that are not `removed`."""
    gone, kept = removed.nonzero()[:, 0], (~removed).nonzero()[:, 0]
    inverse = torch.cholesky_inverse(cholesky(hessian[kept][:, kept], layer=problem.name, damping=damping))
    weight = problem.working_weight.masked_fill(removed, 0)
    weight[:, kept] += product(problem.working_weight[:, gone], product(hessian[gone][:, kept], inverse))
    return weight, inverse
