"""Mask and update apart: what the kept weights become for a mask that is given, whoever chose it.

    none       nothing moves
    sweep      SparseGPT's: each removal is compensated in the columns to its right, those to the left stay
    block      Thanos's: the removals of a row in a block of B columns together, from the block on to the right
    admm       alternating directions (Boža 2024)
    gradient   Adam on the layer's error, as AdaPrune does
    exact      the least-squares weights, by conjugate gradients to within a few parts in ten thousand
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from core.layer.descent import Adam, Descent, FixedAdmm
from core.layer.joint_update import joint_blocks, remove_columns, sweep_blocks
from core.layer.optimum import check_mask
from core.layer.problem import LayerProblem
from core.linalg.conjugate_gradients import masked_cg
from core.linalg.rows import sweep
from core.spec.errors import BadInput
from core.spec.updates import UPDATES, Update

_DAMPING = {"sweep": 0.01, "block": 0.01, "admm": 0.1}
_ITERATIONS = {"admm": 20, "gradient": 200, "exact": 60}


def update(problem: LayerProblem, pruned: Tensor, how: Update, *, block_size: int | None = None, damping: float | None = None,
           iterations: int | None = None, raise_damping: bool = False, start: Tensor | None = None) -> Tensor:
    """The layer's weights [c, b] for the mask `pruned`, zero on it, in the dtype of the arithmetic.

    B = `block_size` is for block (by default 128); λ = `damping` for sweep and block (0.01) and admm (0.1); `iterations` for admm
    (20), gradient (200) and exact (60 at most). `start` [c, b] is where exact begins (by default W). Raises BadInput, also for a
    parameter that the update does not have; IllConditioned, with `raise_damping` only after three attempts at ten times λ each.
    """
    given = {"block_size": block_size, "damping": damping, "iterations": iterations, "start": start}
    known = {"block_size": ("block",), "damping": tuple(_DAMPING), "iterations": tuple(_ITERATIONS), "start": ("exact",)}
    if how not in UPDATES or how == "own":
        raise BadInput("update", how, ", ".join(name for name in UPDATES if name != "own"),
                       "A mask alone does not say which method it is from: choose one of these.")
    for name, value in given.items():
        if value is not None and how not in known[name]:
            raise BadInput(name, value, f"only with {', '.join(known[name])}", f"Leave it out: {how} has none.")
    check_mask(problem, pruned)
    return damped_update(problem, pruned, how, block_size=block_size, damping=damping, iterations=iterations,
                         raise_damping=raise_damping, start=start)[0]


@torch.no_grad()
def damped_update(problem: LayerProblem, pruned: Tensor, how: Update, *, block_size: int | None = None, damping: float | None = None,
                  iterations: int | None = None, raise_damping: bool = False, start: Tensor | None = None) -> tuple[Tensor, float | None]:
    """As `update`, with the λ it took (None: it has none)."""
    damping = _DAMPING.get(how) if damping is None else damping
    count = iterations or _ITERATIONS.get(how, 0)
    match how:
        case "sweep" | "block":
            assert damping is not None
            found, damping = _compensated(problem, pruned, how, block_size or 128, damping, raise_damping)
        case "admm":
            assert damping is not None
            found = _descended(FixedAdmm(problem, pruned, damping=damping), count)
        case "gradient":
            found = _descended(Adam(problem, pruned), count)
        case "exact":
            begin = (problem.working_weight if start is None else start.to(problem.dtype)).masked_fill(pruned, 0)
            found = masked_cg(problem.working_gram, problem.working_weight, begin, pruned, iterations=count, tolerance=1e-4)[0]
        case _:
            found = problem.working_weight.clone()
    return found.masked_fill_(pruned, 0), damping


def _compensated(problem: LayerProblem, pruned: Tensor, how: str, size: int, damping: float, may_raise: bool) -> tuple[Tensor, float]:
    if how == "block" and size >= pruned.shape[1] and bool((pruned == pruned[:1]).all()):  # whole columns: one system for all rows
        weight, _, damping = remove_columns(problem, pruned[0], damping, may_raise=may_raise)
        return weight, damping
    upper, damping = problem.factor(damping, may_raise=may_raise)
    weight = problem.working_weight.clone(memory_format=torch.contiguous_format)

    if how == "sweep":
        _drain(sweep_blocks(weight, upper, lambda block, errors, corner, begin: sweep(
            block, errors, corner, pruned[:, begin : begin + len(corner)], 0), size=128))
    else:
        _drain(joint_blocks(problem, weight, upper, lambda _, begin, end: pruned[:, begin:end], size=size, damping=damping))
    return weight, damping


def _drain(blocks: Iterator[object]) -> None:
    for _ in blocks:
        pass


def _descended(descent: Descent, iterations: int) -> Tensor:
    descent.iterate(iterations)
    return descent.weight
