"""Error against iterations: how fast each descent nears the best kept weights of a mask (the figure of Boža 2024, for any layer)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from core.descent import Adam, Conjugate, Descent, FixedAdmm, Sgd
from core.errors import BadInput
from core.linalg import masked_cg
from core.meter import now
from core.parallel import over_cores
from core.problem import LayerProblem, check_mask
from core.records import DESCENTS, Convergence, DescentName, Trace
from core.updates import update


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
    bare = problem.working_weight.masked_fill(pruned, 0)
    removed = problem.relative(problem.error(bare))
    ways: list[Callable[[], _Course]] = [partial(_sweep, problem, pruned, damping)]
    ways += [partial(_descend, problem, makers[name], iterations, removed) for name in descents]
    courses = over_cores(lambda way: way(), ways, problem.weight.device)
    (swept, swept_seconds, _), *descended = courses
    nearest = min([([removed], [0.0], bare), *courses], key=lambda course: course[0][-1])[2]
    best = problem.relative(masked_cg(problem.working_gram, problem.working_weight, nearest, pruned, iterations=300, tolerance=1e-6)[1])
    return Convergence(
        traces=tuple(Trace(name=name, errors=tuple(errors), seconds=tuple(seconds))
                     for name, (errors, seconds, _) in zip(descents, descended, strict=True)),
        sweep=swept[-1], sweep_seconds=swept_seconds[-1], iterations=iterations,
        optimum=min(max(0.0, best), *(error for errors, _, _ in courses for error in errors)))


_Course = tuple[list[float], list[float], Tensor]  # errors and seconds so far, and the weights at its end


@torch.no_grad()
def _sweep(problem: LayerProblem, pruned: Tensor, damping: float | None) -> _Course:
    started = now(problem.weight.device)
    weight = update(problem, pruned, "sweep", damping=damping)
    seconds = now(problem.weight.device) - started
    return [problem.relative(problem.error(weight))], [seconds], weight


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
    return errors, seconds, descent.weight
