"""Sparsity shared out unevenly between layers at the same total, by what the next zero costs the model (Boža 2024: future work).

    one dense pass, block by block
        G of every layer ─► its error curve f(s) for s within p ± 0.15, at five sparsities
        the layer alone pruned at p, all others dense ─► to the end of the model ─► its divergence D
    the cost of a layer at s is f(s)·D/f(p) ─► the zeros go where they are cheapest

Errors of different layers do not compare, neither as they are nor relative to the layer's output: the same share of lost output costs
a key projection a hundred times what it costs a value projection. D = mean KL(dense ‖ pruned) of next-token distributions measures
that, and divergence grows about in proportion to the layer's error, so the curve's shape carries it over to other sparsities.
Curves are of the run's own method, or of ADMM-Grad where that is less work: what matters is how the layers compare.
The lower convex hull of a curve has rising slopes, so one threshold on slopes (Lagrange) gives the least sum of costs.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.methods.solve import solve
from core.models.blocks import BlockMap, Linear
from core.models.grams import GramStore, InputStatistics, collect
from core.models.open_model import OpenModel, batches, embed
from core.models.streaming import Stream
from core.spec import RunSpec
from core.spec.methods import AdmmGrad
from core.spec.patterns import Groups, Structured, Unstructured, nearby, outlier_count
from core.spec.updates import update_work

SAMPLE_TOKENS = 2048  # of the calibration windows, on which divergences are measured
POINTS = (-1, -0.5, 0, 0.5, 1)  # of a curve, 0 at p (core.patterns.nearby)
Even = Unstructured | Structured
Weigher = Callable[[str], Tensor | None]  # layer name -> output weights [c] or [c, c] (core/run/fisher.py), None: uniform


def measured_by(spec: RunSpec, rows: int, columns: int) -> dict[str, Any]:
    """Arguments of `solve` for the curve of a c×b layer: the method and update of the run, or ADMM-Grad where that is less work."""
    own = spec.method.layer_work(rows, columns, spec.pattern) + update_work(spec.update, rows, columns, refit=spec.refit)
    if own > AdmmGrad().layer_work(rows, columns, spec.pattern):
        return {"method": AdmmGrad()}
    return {"method": spec.method, "update": spec.update, "refit": spec.refit}


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Cost of a layer at rising counts of removed units: `each` entries a unit. `even` is the count at p, `pattern` the layer's."""

    counts: tuple[int, ...]
    costs: tuple[float, ...]
    even: int
    each: int
    shape: tuple[int, int]


@torch.no_grad()
def allocate(opened: OpenModel, block_map: BlockMap, spec: RunSpec, store: GramStore | None = None,
             weigh: Weigher = lambda _: None) -> Generator[int, None, dict[str, Even]]:
    """Yields each block before its turn; returns every layer's own pattern, the same each time on the same device.

    `weigh` gives each layer's output weights, of which its masks and its curve take account as they do in the run.

    Five solves a layer, and half a forward pass of SAMPLE_TOKENS for each; memory: their hidden states, SAMPLE_TOKENS·d a layer.
    """
    pattern = spec.pattern
    assert isinstance(pattern, Unstructured | Structured), "refused by the spec"
    tokens = opened.calibration.tokens
    sample, curves, alone = tokens[: max(1, SAMPLE_TOKENS // tokens.shape[1])], dict[str, Curve](), dict[str, Tensor]()
    collected = collect(opened, store)
    with Stream(opened.model, block_map, opened.device, tokens[:1]) as stream:
        dense = embed(stream, sample)
        for block, linears in enumerate(block_map.linears):
            yield block
            inputs = next(collected)
            with stream.on_device(block):
                alone = {name: stream.forward(block, hidden) for name, hidden in alone.items()}
                for linear, problem in _problems(inputs, linears, opened.device, weigh):
                    curves[linear.name], pruned = error_curve(problem, spec, pattern)
                    with linear.replaced(pruned):
                        alone[linear.name] = stream.forward(block, dense)
                dense = stream.forward(block, dense)
        expected = [stream.logits(part).float().log_softmax(-1) for part in batches(dense)]
        for name, hidden in alone.items():
            curves[name] = _scaled(curves[name], _divergence(stream, expected, hidden))
    counts = shared_out(list(curves.values()))
    return {name: layer_pattern(pattern, curve, count) for (name, curve), count in zip(curves.items(), counts, strict=True)}


def layer_pattern(pattern: Even, curve: Curve, count: int) -> Even:
    """The layer's own: so many of its curve's units."""
    return pattern.with_count(count * (curve.each if isinstance(pattern, Unstructured) else 1), *curve.shape)


def _problems(inputs: Sequence[InputStatistics], linears: Sequence[Linear], device: torch.device,
              weigh: Weigher) -> Generator[tuple[Linear, LayerProblem]]:
    for item in inputs:
        problem: LayerProblem | None = None
        for linear in (linear for linear in linears if linear.name in item.layers):
            weight = linear.weight.to(device, copy=True)
            problem = problem.with_weight(weight, linear.name, weigh(linear.name)) if problem else LayerProblem(
                weight=weight, gram=item.gram.to(device), mean=item.mean.to(device), tokens=item.tokens, name=linear.name,
                output_weight=weigh(linear.name))
            yield linear, problem


def error_curve(problem: LayerProblem, spec: RunSpec, pattern: Even, points: Sequence[float] = POINTS) -> tuple[Curve, Tensor]:
    """Errors as costs, weighted where the problem weighs outputs, and the weight pruned at p. Fewer points where the layer is too small
    to tell them apart.

    A method that takes as many entries from every row changes its count by a row's height at a time.
    """
    rows, columns = problem.weight.shape
    active = rows - outlier_count(rows, pattern.outlier_rows)
    each = active if isinstance(pattern, Structured) or spec.method.by_row else 1
    found, pruned = dict[int, float](), problem.weight
    for point in points:
        there = pattern if point == 0 else pattern.model_copy(update={"sparsity": nearby(pattern, point)})
        solution = solve(problem, pattern=there, **measured_by(spec, rows, columns))
        found[units(there, rows, columns, each)] = (solution.relative_error * float(problem.energy()) if problem.output_weight is None
                                                    else float(problem.weighted_error(solution.weight)))
        pruned = solution.weight if point == 0 else pruned
    counts = sorted(found)
    return Curve(counts=tuple(counts), costs=tuple(found[count] for count in counts), even=units(pattern, rows, columns, each), each=each,
                 shape=(rows, columns)), pruned


def units(pattern: Even, rows: int, columns: int, each: int) -> int:
    """Number of units that go from a c×b layer: columns, or entries counted in `each`."""
    target = pattern.target(rows, columns)
    assert not isinstance(target, Groups)
    return target.count if isinstance(pattern, Structured) else target.count // max(1, each)


def _scaled(curve: Curve, divergence: float) -> Curve:
    """Costs in the model's divergence: f(s)·D/f(p)."""
    here = dict(zip(curve.counts, curve.costs, strict=True))[curve.even]
    return replace(curve, costs=tuple(cost * divergence / here if here > 0 else 0.0 for cost in curve.costs))


def _divergence(stream: Stream, expected: Sequence[Tensor], hidden: Tensor) -> float:
    """Mean KL(dense ‖ pruned) of the next-token distributions; never negative."""
    parts = [divergence(dense, stream.logits(part)) for dense, part in zip(expected, batches(hidden), strict=True)]
    return max(0.0, float(torch.stack(parts).sum()) / hidden[..., 0].numel())


def divergence(dense: Tensor, logits: Tensor) -> Tensor:
    """Summed KL(dense ‖ pruned), a float64 scalar [nats]: the dense model's log p and the pruned one's logits, both [n, L, vocabulary]."""
    return (dense.exp() * (dense - logits.float().log_softmax(-1))).sum(dtype=torch.float64)


def shared_out(curves: Sequence[Curve]) -> list[int]:
    """Each layer's count: the least sum of costs on the curves' hulls. The total of entries is that of the even counts; where units are
    of unequal height it may be more, by less than the tallest unit."""
    pieces = sorted((slope, layer, width) for layer, curve in enumerate(curves) for slope, width in _hull(curve))
    counts = [curve.counts[0] for curve in curves]
    left = sum((curve.even - curve.counts[0]) * curve.each for curve in curves)
    for _, layer, width in pieces:
        taken = min(width, max(0, -(-left // max(1, curves[layer].each))))
        counts[layer] += taken
        left -= taken * curves[layer].each
    return counts


def _hull(curve: Curve) -> list[tuple[float, int]]:
    """The pieces of the lower convex hull, left to right: (cost of an entry, units). Rounding may have left it falling: never below 0."""
    points: list[tuple[int, float]] = []
    for point in zip(curve.counts, curve.costs, strict=True):
        while len(points) > 1 and _slope(points[-2], point) <= _slope(points[-2], points[-1]):
            points.pop()
        points.append(point)
    return [(_slope(a, b) / max(1, curve.each), b[0] - a[0]) for a, b in pairwise(points)]


def _slope(a: tuple[int, float], b: tuple[int, float]) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])
