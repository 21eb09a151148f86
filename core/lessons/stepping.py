"""The generators of SparseGPT, Thanos and OBC on one small matrix, recorded step by step; and the update from B = 1 to B = b."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.layer.solution import LayerSolution
from core.layer.updates import update
from core.lessons.removals import losses, without
from core.methods.solve import solve, steps
from core.records.lessons import STEPPED, Recording, Stepped
from core.spec.methods import Method, adapted_method
from core.spec.patterns import Unstructured


def record(problem: LayerProblem, method: Method, pattern: Unstructured) -> tuple[Recording, LayerSolution]:
    """The steps that `solve` drains, kept: their states one after the other, and the very solution."""
    weight = problem.working_weight
    masks, weights, told, frozen = [torch.zeros_like(weight, dtype=torch.bool)], [weight], [weight.new_zeros(())], [0]
    generator = steps(problem, method, pattern)
    while True:
        try:
            step = next(generator)
        except StopIteration as stop:
            solution: LayerSolution = stop.value
            break
        masks.append(step.pruned.clone())
        weights.append(step.weight.masked_fill(step.pruned, 0))
        told.append(told[-1] if step.loss is None else step.loss)
        frozen.append(step.columns[1] if method.has_blocks else 0)
    pruned, states = torch.stack(masks), torch.stack(weights)
    recording = Recording(method=method.name, pruned=pruned.numpy(), weight=states.numpy(), loss=torch.stack(told).numpy(),
                          measured=losses(problem, states - weight).sum(1).numpy(), optimum=_least(problem, pruned).numpy(),
                          frozen=torch.tensor(frozen).numpy())
    return recording, solution


@torch.no_grad()
def stepped(problem: LayerProblem, *, sparsity: float, block_size: int) -> Stepped:
    """All three methods at p and B. The curve over B is for one mask, SparseGPT's when it chooses all columns at once, whatever B is.

    Raises BadInput, IllConditioned.
    """
    pattern, columns = Unstructured(sparsity=sparsity), problem.weight.shape[1]
    found = {name: record(problem, _method(name, block_size), pattern) for name in STEPPED}
    mask = solve(problem, _method("sparsegpt", columns), pattern).pruned
    blocks = torch.stack([update(problem, mask, "block", block_size=size, damping=0) for size in range(1, columns + 1)])
    weight = problem.working_weight
    swept = update(problem, mask, "sweep", damping=0)
    return Stepped(recordings=tuple(recording for recording, _ in found.values()), weight=weight.numpy(), energy=float(problem.energy()),
                   mask=mask.numpy(), blocks=blocks.numpy(), block_loss=losses(problem, blocks - weight).sum(1).numpy(),
                   sweep_loss=float(losses(problem, swept - weight).sum()), optimum=float(_least(problem, mask[None])[0]))


def _method(name: str, block_size: int) -> Method:
    return adapted_method(name, damping=0, block_size=block_size)


def _least(problem: LayerProblem, pruned: Tensor) -> Tensor:
    """The least loss for each of k masks [k, c, b]: [k]."""
    count, rows, columns = pruned.shape
    which = torch.arange(rows).repeat(count)
    change = without(problem, which, pruned.reshape(-1, columns)) - problem.working_weight[which]
    return losses(problem, change).view(count, rows).sum(1)
