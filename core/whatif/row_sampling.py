"""Row sampling: estimate of a slow method's error from a few rows; SparseGPT, which is fast, prunes all.

    R      a few rows, evenly through the layer's in the order of their energy; those that α keeps are left out
    r      f_method(R) / f_SparseGPT(R): both prune R alone, at the share that the layer's active rows lose
    f̂      r · f_SparseGPT of the whole layer, in place of f_method
    Ŵ      W + √r·(Ŵ_SparseGPT − W): a change of that size, in place of the method's weights

A ratio of two errors of the same rows varies little from row to row, where the errors themselves vary a hundredfold (a ratio estimator:
Cochran 1977, Sampling Techniques, ch. 6). It is an estimate of a preview, and of nothing else: Ŵ is not sparse.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from core.layer.optimum import optimum_error
from core.layer.problem import LayerProblem
from core.layer.row_samples import spread_rows
from core.layer.solution import LayerSolution
from core.methods.solve import solve
from core.records.previews import BASE, ROWS
from core.spec.methods import Method
from core.spec.patterns import Columns, Groups, Pattern, SemiStructured, Structured, Unstructured, outlier_count
from core.spec.updates import Update


@dataclass(frozen=True, kw_only=True, eq=False)
class SampledSolution:
    """`weight` [c, b], dense, as far from W as the method's would be; the two errors over tr(WGWᵀ); the damping the method used."""

    weight: Tensor
    relative_error: float
    optimum_error: float
    counted_sparsity: float
    damping: float | None


def sampled(problem: LayerProblem, base: LayerSolution, method: Method, pattern: Pattern, *, update: Update = "own",
            refit: bool = False) -> SampledSolution:
    """The estimate from `base`, the whole layer by `BASE`. Raises what `solve` raises."""
    rows = spread_rows(problem, base.dense_rows, ROWS)
    if not len(rows):
        return SampledSolution(weight=base.weight, relative_error=base.relative_error, optimum_error=base.relative_error,
                       counted_sparsity=base.counted_sparsity, damping=None)
    part = problem.with_weight(problem.weight[rows])
    alone = active_pattern(pattern, *problem.weight.shape)
    found = solve(part, method, alone, update=update, refit=refit)
    known = solve(part, BASE, alone).relative_error
    ratio = found.relative_error / known if known > 0 else 1.0
    error = ratio * base.relative_error
    best = optimum_error(part, found) / found.relative_error if found.relative_error > 0 else 1.0
    weight = torch.lerp(problem.working_weight, base.weight.to(problem.dtype), math.sqrt(ratio)).to(problem.weight.dtype)
    counted = found.counted_sparsity * (1 - len(base.dense_rows) / len(problem.weight)) if method.by_row else base.counted_sparsity
    return SampledSolution(weight=weight, relative_error=error, optimum_error=error * best, counted_sparsity=counted, damping=found.damping)


def active_pattern(pattern: Pattern, rows: int, columns: int) -> Pattern:
    """A pattern without α that takes from any rows the share that `pattern` takes from the active rows of a layer."""
    target = pattern.target(rows, columns)
    match target:
        case Groups(n=n, m=m):
            return SemiStructured(n=n, m=m)
        case Columns(count=count):
            return Structured(sparsity=0).with_count(count, rows, columns)
        case _:
            active = rows - outlier_count(rows, pattern.outlier_rows)
            return Unstructured(sparsity=min(target.count / max(1, active * columns), math.nextafter(1, 0)))
