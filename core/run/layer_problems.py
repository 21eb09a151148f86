"""From a group's statistics to its layers' problems: one Gram matrix and one factorization for all layers that read the same input."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.linalg.products import product
from core.models.blocks import Linear
from core.models.grams import InputStatistics
from core.run.propagation import correction


def layer_problems(group: Sequence[Linear], read: InputStatistics, propagation: float, counts_of: Callable[[str], Tensor | None],
                   device: torch.device) -> Iterator[tuple[Linear, LayerProblem]]:
    """The layers of a group, each with its problem on `device`, made when it is asked for.

    `propagation` θ: strength of the correction for pruned blocks before, where `read` holds the dense model's inputs as well.
    `counts_of(name)`: weights of the layer's outputs [c] (Fisher weighting), or None.
    """
    problem: LayerProblem | None = None
    correct = None if read.cross is None else correction(read.gram, read.cross, propagation, layer=group[0].name)
    for linear in group:
        weight = linear.weight.to(device)
        if correct is not None:
            weight = (weight + product(weight.float(), correct)).to(weight.dtype)
        counts = counts_of(linear.name)
        problem = problem.with_weight(weight, linear.name, counts) if problem else LayerProblem(
            weight=weight, gram=read.gram, mean=read.mean, tokens=read.tokens, name=linear.name, output_weight=counts)
        yield linear, problem
