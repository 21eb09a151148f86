"""Ours: a mask that grows round by round with refits in between, then exchanges of kept with pruned entries (docs/methods/frontier.md).

Minimises tr((Ŵ−W)H(Ŵ−W)ᵀ) over Ŵ and its mask, H = G + λ·mean(diag G)·I. Removing entry j from the best kept weights costs
Ŵ_j²·q_j, and bringing j back gains R_j²/q_j, with R = (W−Ŵ)H and q_j the Schur complement of j on the row's other kept
entries. So one table of scores orders both, and a round keeps the entries that are worth most.

While the mask grows no row can afford its own Schur complements. With kept fraction d at the end, H_d = d·H + (1−d)·diag H stands for the
average over random masks, and q = 1/diag(H_d⁻¹): OBS at d = 1, Wanda at d → 0. For whole columns all rows keep the same, and q
is exact; a column does not come back by its score: of columns that stand for each other each would gain what only one can.

Of such entries the rounds often keep the wrong ones, and no single entry can mend that: exchanges of two can (core/layer/swap_search.py).

With Fisher weighting rows are coupled (core/layer/coupled_rows.py): tr(CΔHΔᵀ), and C·R takes the place of R. Each row is then
searched with what it can compensate for the others as its aim, some rows at a time.
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from core.layer.coupled_rows import aim, coupled_cg, turns, uncoupled
from core.layer.masks import select_part
from core.layer.problem import LayerProblem
from core.layer.steps import Outcome, Step
from core.layer.swap_search import exchange_columns, exchange_entries
from core.linalg.cholesky import cholesky
from core.linalg.conjugate_gradients import cg_steps
from core.linalg.products import add_product, product
from core.spec.methods import Frontier
from core.spec.patterns import Columns, Entries, Groups, Target


def kernel(problem: LayerProblem, target: Target, method: Frontier) -> Generator[Step, None, Outcome]:
    """In round t of R the target's share 1 − (1 − t/R)³. Raises IllConditioned."""
    if isinstance(target, Columns):
        return (yield from _columns(problem, target, method))
    return (yield from _entries(problem, target, method))


def _entries(problem: LayerProblem, target: Entries | Groups, method: Frontier) -> Generator[Step, None, Outcome]:
    """After each choice k steps of masked Jacobi-CG from the weights there are. b³ + (R·(1+k) + polish)·c·b², and the exchanges.

    Where rows are coupled, (R·(1+k) + 2·polish)·(c·b² + c²·b).
    """
    hessian, dead, coupling = problem.hessian(method.damping), problem.dead, problem.output_weight
    weight = problem.working_weight.clone()
    kept = 1 - (target.count / weight.numel() if isinstance(target, Entries) else target.n / target.m)
    worth = problem.shared(("mean field", method.damping, kept), lambda: _mean_field(problem, hessian, kept, method.damping))
    residual = torch.zeros_like(weight)
    pruned = torch.zeros_like(weight, dtype=torch.bool)
    for step in range(1, method.rounds + 1):
        scores = weight.square() * worth  # 0 where pruned: there it is what a return would gain
        pull = residual if coupling is None else product(coupling, residual)
        scores.add_((pull * pruned).square_() / worth).masked_fill_(dead, -1)
        pruned = select_part(scores, target, step, method.rounds)
        removed = weight * pruned
        add_product(residual, removed, hessian)
        weight -= removed
        _refit(hessian, coupling, weight, residual, pruned, method.steps)
    if method.search and 0 < kept < 1:
        search = _search if coupling is None else _search_in_turns
        search(problem, method, weight, residual, pruned, target.m if isinstance(target, Groups) else 0, kept)
    _refit(hessian, coupling, weight, residual, pruned, method.polish if coupling is None else 2 * method.polish)
    yield Step(columns=(0, weight.shape[1]), pruned=pruned, weight=weight, loss=None)
    return Outcome(weight=weight, pruned=pruned, damping=method.damping)


def _refit(hessian: Tensor, coupling: Tensor | None, weight: Tensor, residual: Tensor, pruned: Tensor, iterations: int) -> None:
    if coupling is None:
        cg_steps(hessian, weight, residual, pruned, iterations=iterations)
    else:
        coupled_cg(coupling, hessian, weight, residual, pruned, iterations=iterations)


def _search(problem: LayerProblem, method: Frontier, weight: Tensor, residual: Tensor, pruned: Tensor, m: int, kept: float) -> None:
    exchange_entries(problem, method.damping, weight, residual, pruned, m=m, kept=kept, width=method.search, patience=method.patience,
                     steps=method.steps)


def _search_in_turns(problem: LayerProblem, method: Frontier, weight: Tensor, residual: Tensor, pruned: Tensor, m: int,
                     kept: float) -> None:
    """The search, in place, of rows that are coupled: each turn's aim at what is lost by then."""
    hessian, original, coupling = problem.hessian(method.damping), problem.working_weight, problem.output_weight
    assert coupling is not None
    for rows in turns(coupling):
        goal = aim(coupling, original, weight, rows)
        part, mask = weight[rows], pruned[rows]
        _search(problem.with_weight(goal), method, part, product(goal - part, hessian), mask, m, kept)
        weight[rows], pruned[rows] = part, mask
    residual.copy_(product(original - weight, hessian))


def _mean_field(problem: LayerProblem, hessian: Tensor, kept: float, damping: float) -> Tensor:
    """q = 1/diag(H_d⁻¹) [b]."""
    mixed = kept * hessian
    mixed.diagonal().add_((1 - kept) * hessian.diagonal())
    return 1 / torch.cholesky_inverse(cholesky(mixed, layer=problem.name, damping=damping)).diagonal()


def _columns(problem: LayerProblem, target: Columns, method: Frontier) -> Generator[Step, None, Outcome]:
    """Each round solved exactly; v_j = Σ_i Ŵ_ij²/[H_KK⁻¹]_jj chooses; then exchanges. 2b³ + s·(b³ + c·b²), and c·b²/4 an exchange.

    Where rows are coupled the columns are those of LᵀW; the best weights for them are the same.
    """
    hessian, coupling, layer = problem.hessian(method.damping), problem.output_weight, problem
    if coupling is not None:
        problem = problem.with_weight(uncoupled(coupling, problem.working_weight, layer=problem.name))
    weight, inverse = problem.working_weight, torch.cholesky_inverse(cholesky(hessian, layer=problem.name, damping=method.damping))
    removed = torch.zeros(weight.shape[1], dtype=torch.bool, device=weight.device)
    for step in range(1, method.rounds + 1):
        scores = (weight.square().sum(0) / inverse.diagonal()).masked_fill_(problem.dead, -1)
        scores.masked_fill_(removed, -2)  # those that are gone stay so: before the dead inputs
        before, removed = removed, select_part(scores[None], target, step, method.rounds)[0]
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
