"""One threshold on saliencies for the whole model, instead of one a layer (Zeng et al. 2021, Network Automatic Pruning, arXiv 2101.06608).

With K-FAC's Fisher information of a layer, F = A ⊗ B, A the second moment of its inputs and B of its outputs' gradients, the optimal brain
surgeon's saliency of a weight is

    S_ij = w²_ij / (2·[A⁻¹]_jj·[B⁻¹]_ii)

It is a change of the loss, so it compares between layers: the N weights of least saliency of all layers count, and each layer loses as many
as it has of them, chosen by the run's own method. A layer keeps at least a hundredth of its rows that are not kept dense.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

import torch
from torch import Tensor

from core.linalg.cholesky import cholesky
from core.models.blocks import BlockMap
from core.models.grams import collect
from core.models.open_model import OpenModel
from core.spec.patterns import Entries, Unstructured, outlier_count

DAMPING = 0.01  # of the mean diagonal, in both factors
_BINS, _SHIFT = 1 << 16, 15  # a positive float32 by its exponent and first eight digits: 0.4 % wide
_LEAST_KEPT = 0.01


@torch.no_grad()
def saliency(weight: Tensor, gram: Tensor, outputs: Tensor) -> Tensor:
    """S [c, b] of a weight [c, b], with A = `gram` [b, b] and B = `outputs` [c, c], or its diagonal [c]; float32. O(b³ + c³).

    Raises IllConditioned.
    """
    rows = 1 / _damped_diagonal(outputs) if outputs.ndim == 1 else _inverse_diagonal(outputs)
    return weight.float().square() / (2 * rows[:, None] * _inverse_diagonal(gram))


def _inverse_diagonal(matrix: Tensor) -> Tensor:
    """diag (M + λI)⁻¹."""
    damped = matrix.float().clone()
    damped.diagonal().copy_(_damped_diagonal(damped.diagonal()))
    return torch.cholesky_inverse(cholesky(damped, layer="K-FAC factor", damping=DAMPING)).diagonal()


def _damped_diagonal(diagonal: Tensor) -> Tensor:
    return diagonal.float() + (DAMPING * diagonal.float().mean()).clamp(min=torch.finfo(torch.float32).tiny)


@torch.no_grad()
def share_by_saliency(opened: OpenModel, block_map: BlockMap, pattern: Unstructured,
                      outputs: Mapping[str, Tensor]) -> Generator[int, None, dict[str, Unstructured]]:
    """Yields each block before its turn; returns every layer's own pattern. `outputs`: Σ gᵢgⱼ over tokens by layer (core/run/fisher.py).

    One dense pass; memory: the Gram matrices of a block, and 65,536 counts a layer.
    """
    counts, shapes = dict[str, Tensor](), dict[str, tuple[int, int]]()
    inputs = collect(opened)
    for block, linears in enumerate(block_map.linears):
        yield block
        grams = {name: item for item in next(inputs) for name in item.layers}
        for linear in linears:
            item = grams[linear.name]
            found = saliency(linear.weight.to(opened.device), item.gram.to(opened.device) / max(1, item.tokens),
                             outputs[linear.name].to(opened.device))
            counts[linear.name], shapes[linear.name] = histogram(found), (linear.rows, linear.columns)
    most = [int((1 - _LEAST_KEPT) * (rows - outlier_count(rows, pattern.outlier_rows)) * columns) for rows, columns in shapes.values()]
    gone = below_one_threshold(torch.stack(list(counts.values())), most, sum(_even(pattern, shape) for shape in shapes.values()))
    return {name: pattern.with_count(count, *shape) for (name, shape), count in zip(shapes.items(), gone, strict=True)}


def _even(pattern: Unstructured, shape: tuple[int, int]) -> int:
    target = pattern.target(*shape)
    assert isinstance(target, Entries), "of single entries"
    return target.count


def histogram(values: Tensor) -> Tensor:
    """Counts [65,536] of positive float32 values by their first bits, which are in the order of the values."""
    bits = values.float().clamp(min=0).contiguous().view(torch.int32) >> _SHIFT
    return torch.bincount(bits.flatten(), minlength=_BINS).cpu()


def below_one_threshold(counts: Tensor, most: Sequence[int], total: int) -> list[int]:
    """Number of values of each layer, counts [layers, bins], below the threshold that `total` are below, at most `most` of a layer.

    Values of the threshold's own bin are shared out in proportion. The sum is exact, or all that there is room for.
    """
    sums = torch.minimum(counts.cumsum(1), torch.tensor(most)[:, None])
    totals = sums.sum(0)
    place = min(int(torch.searchsorted(totals, torch.tensor(total))), counts.shape[1] - 1)
    below = sums[:, place - 1] if place else torch.zeros_like(sums[:, 0])
    room = sums[:, place] - below
    left = min(total - int(below.sum()), int(room.sum()))
    taken = room * left // max(1, int(room.sum()))
    for layer in (room - taken).argsort(descending=True, stable=True)[: left - int(taken.sum())]:
        taken[layer] += 1
    return (below + taken).tolist()
