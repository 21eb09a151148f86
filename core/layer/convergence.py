"""Error against iterations: how fast each descent nears the best kept weights of a mask (the figure of Boža 2024, for any layer)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from core.layer.descent import Adam, Conjugate, Descent, FixedAdmm, Sgd
from core.layer.optimum import check_mask
from core.layer.problem import LayerProblem
from core.layer.updates import update
from core.linalg.clock import now
from core.linalg.conjugate_gradients import masked_cg
from core.linalg.parallel import map_layers
from core.records import DESCENTS, Convergence, DescentName, Trace
from core.spec.errors import BadInput


@torch.no_grad()
def convergence(problem: LayerProblem, pruned: Tensor, *, iterations: int = 50, damping: float | None = None, learning_rate: float = 1.0,
                descents: Sequence[DescentName] = tuple(DESCENTS)) -> Convergence:
    """f/tr(WGWᵀ) of each descent's weights, zero on the mask `pruned` [c, b], after each iteration, with the seconds it took so far.

    The lines beside them are SparseGPT's sweep and the optimum for this mask. λ = `damping` is for ADMM (by default 0.1) and the
    sweep (0.01); `learning_rate` for Adam and SGD, as AdaPrune has it. One c×b×b product an iteration and one to count its error,
    which is not in the seconds; each descent's preparation is in those of its first iteration. On a CPU all go on at the same time,
    each on one core. Raises BadInput, IllConditioned.
    """
    check_mask(problem, pruned)
    if not 1 <= iterations <= 10_000:
        raise BadInput("iterations", iterations, "1 to 10000", "Choose fewer or more.")
    unknown = [name for name in descents if name not in DESCENTS]
    if unknown:
        raise BadInput("descents", unknown[0], ", ".join(DESCENTS), "Choose among these.")
    admm = {} if damping is None else {"damping": damping}
    makers: dict[DescentName, Callable[[], Descent]] = {
        "admm": lambda: FixedAdmm(problem, pruned, **admm), "adam": lambda: Adam(problem, pruned, learning_rate=learning_rate),
        "sgd": lambda: Sgd(problem, pruned, learning_rate=learning_rate), "cg": lambda: Conjugate(problem, pruned),
    }
    removed = problem.relative(problem.error(problem.working_weight.masked_fill(pruned, 0)))
    ways: list[Callable[[], _Course]] = [partial(_descend, problem, makers[name], iterations, removed) for name in descents]
    ways += [partial(_optimum, problem, pruned), partial(_sweep, problem, pruned, damping)]
    *courses, optimum, sweep = map_layers(lambda way: way(), ways, problem.weight.device)
    return Convergence(
        traces=tuple(Trace(name=name, errors=tuple(errors), seconds=tuple(seconds))
                     for name, (errors, seconds) in zip(descents, courses, strict=True)),
        sweep=sweep[0][-1], sweep_seconds=sweep[1][-1], iterations=iterations,
        optimum=min(error for errors, _ in (*courses, optimum, sweep) for error in errors))


_Course = tuple[list[float], list[float]]  # errors, and seconds so far


@torch.no_grad()
def _descend(problem: LayerProblem, make: Callable[[], Descent], iterations: int, removed: float) -> _Course:
    """From before the first iteration on."""
    errors, seconds = [removed], [0.0]
    device = problem.weight.device
    started = now(device)
    descent = make()
    spent = now(device) - started
    for _ in range(iterations):
        started = now(device)
        descent.iterate()
        spent += now(device) - started
        seconds.append(spent)
        errors.append(problem.relative(problem.error(descent.weight)))
    return errors, seconds


@torch.no_grad()
def _optimum(problem: LayerProblem, pruned: Tensor) -> _Course:
    """By conjugate gradients, until an iteration gains less than a millionth."""
    weight, gram = problem.working_weight, problem.working_gram
    started = now(weight.device)
    _, error = masked_cg(gram, weight, weight.masked_fill(pruned, 0), pruned, iterations=300, tolerance=1e-6)
    return [max(0.0, problem.relative(error))], [now(weight.device) - started]


@torch.no_grad()
def _sweep(problem: LayerProblem, pruned: Tensor, damping: float | None) -> _Course:
    """SparseGPT's, with its factorization."""
    started = now(problem.weight.device)
    weight = update(problem, pruned, "sweep", damping=damping)
    spent = now(problem.weight.device) - started
    return [problem.relative(problem.error(weight))], [spent]
