"""Layers made small enough to look at: blocks of a matrix reduced to cells, the error shared out, weights counted in bins."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from core.layer.problem import LayerProblem
from core.layer.solution import LayerSolution
from core.linalg.cancellation import check_cancelled
from core.linalg.products import product

_ROWS_AT_ONCE = 512
Reduction = Literal["mean", "rms", "extreme"]


def cell_shape(shape: tuple[int, int], most: int) -> tuple[int, int]:
    """Rows and columns of a matrix behind one cell, so that at most `most` cells stand side by side either way."""
    return -(-shape[0] // most), -(-shape[1] // most)


def reduce_blocks(matrix: Tensor, most: int, how: Reduction = "mean") -> Tensor:
    """One cell for each block of `cell_shape` entries of a matrix [c, b]: float32 [⌈c/h⌉, ⌈b/k⌉]; the last blocks may be smaller.

    mean: of the entries (of a mask: the share that is True). rms: root of their mean square. extreme: the entry of largest
    magnitude, with its sign; of a positive and a negative one of equal magnitude the positive.
    """
    high, wide = cell_shape((matrix.shape[0], matrix.shape[1]), most)
    return torch.cat([_reduced(rows.float(), high, wide, how) for rows in matrix.split(high * max(1, _ROWS_AT_ONCE // high))])


def _reduced(matrix: Tensor, high: int, wide: int, how: Reduction) -> Tensor:
    rows, columns = -(-matrix.shape[0] // high), -(-matrix.shape[1] // wide)
    room = (0, columns * wide - matrix.shape[1], 0, rows * high - matrix.shape[0])
    blocks = F.pad(matrix.square() if how == "rms" else matrix, room).view(rows, high, columns, wide)
    if how == "extreme":
        most, least = blocks.amax((1, 3)), blocks.amin((1, 3))
        return torch.where(most >= -least, most, least)
    tall = torch.full((rows, 1), float(high), device=matrix.device)
    broad = torch.full((1, columns), float(wide), device=matrix.device)
    tall[-1] -= room[3]
    broad[0, -1] -= room[1]
    mean = blocks.sum((1, 3)) / (tall * broad)
    return mean.sqrt() if how == "rms" else mean


def error_parts(problem: LayerProblem, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Contributions of each output row [c] and each input column [b] to f(Ŵ) = tr(ΔGΔᵀ): Σ_j Δ_ij(ΔG)_ij and Σ_i Δ_ij(ΔG)_ij, float64.

    Both sum to f. A row's part is its own error, never negative but for rounding. A column's may be negative: its changes then
    make up for changes of other columns. At the optimum for a mask only pruned entries have a part, for (ΔG)_ij = 0 at the kept.
    """
    gram, origin = problem.working_gram, problem.working_weight
    rows: list[Tensor] = []
    columns = torch.zeros(len(gram), dtype=torch.float64, device=gram.device)
    for start in range(0, len(weight), _ROWS_AT_ONCE):
        check_cancelled()
        change = weight[start : start + _ROWS_AT_ONCE].to(problem.dtype) - origin[start : start + _ROWS_AT_ONCE]
        parts = (product(change, gram) * change).double()
        rows.append(parts.sum(1))
        columns += parts.sum(0)
    return torch.cat(rows), columns


@dataclass(frozen=True, kw_only=True, eq=False)
class Histogram:
    """Counts [k], int64, of weights in each bin of `edges` [k+1]: of those that stay, before and after; of those that go."""

    edges: Tensor
    kept_before: Tensor
    kept_after: Tensor
    removed_before: Tensor


def weight_histogram(before: Tensor, solution: LayerSolution, bins: int = 101) -> Histogram:
    """The weights [c, b] of a layer before and after, in bins of equal width, symmetric about 0, that hold every one of them."""
    after, gone = solution.weight.float(), solution.pruned
    origin = before.float()
    reach = max(float(origin.abs().max()), float(after.abs().max())) or 1.0
    edges = torch.linspace(-reach, reach, bins + 1)

    def count(values: Tensor) -> Tensor:
        return torch.histc(values, bins=bins, min=-reach, max=reach).round().long().cpu()

    return Histogram(edges=edges, kept_before=count(origin[~gone]), kept_after=count(after[~gone]), removed_before=count(origin[gone]))


def mask_png(pruned: Tensor) -> bytes:
    """A mask [c, b] as a PNG of one bit and one pixel a weight, a row of the layer a line: white is kept, black is removed."""
    written = BytesIO()
    Image.fromarray((~pruned).cpu().numpy()).save(written, format="PNG")
    return written.getvalue()
