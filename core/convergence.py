"""Error against iterations: how fast each descent nears the best kept weights of a mask (the figure of Boža 2024, for any layer)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from core.descent import Adam, Conjugate, Descent, FixedAdmm, Sgd
from core.errors import BadInput
from core.linalg import masked_cg
from core.meter import now
from core.problem import LayerProblem, check_mask
from core.records import DESCENTS, Convergence, DescentName, Trace
from core.updates import update


@torch.no_grad()
def convergence(problem: LayerProblem, pruned: Tensor, *, iterations: int = 50, damping: float | None = None, learning_rate: float = 1.0,
                descents: Sequence[DescentName] = tuple(DESCENTS)) -> Convergence:
    """f/tr(WGWᵀ) of each descent's weights, zero on the mask `pruned` [c, b], after each iteration, with the seconds it took so far.

    The lines beside them are SparseGPT's sweep and the optimum for this mask. λ = `damping` is for ADMM (by default 0.1) and the
    sweep (0.01); `learning_rate` for Adam and SGD, as AdaPrune has it. One c×b×b product an iteration and one to count its error,
    which is not in the seconds; each descent's preparation is in those of its first iteration. Raises BadInput, IllConditioned.
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
    traces, nearest = list[Trace](), problem.working_weight.masked_fill(pruned, 0)
    for name in descents:
        trace, reached = _trace(problem, name, makers[name], iterations, removed)
        least = min((trace.errors[-1] for trace in traces), default=removed)
        nearest = reached if trace.errors[-1] < least else nearest
        traces.append(trace)
    started = now(problem.weight.device)
    swept = update(problem, pruned, "sweep", damping=damping)
    seconds = now(problem.weight.device) - started
    best = problem.relative(masked_cg(problem.working_gram, problem.working_weight, nearest, pruned, iterations=300, tolerance=1e-6)[1])
    found = [max(0.0, best), problem.relative(problem.error(swept)), *(error for trace in traces for error in trace.errors)]
    return Convergence(traces=tuple(traces), sweep=found[1], sweep_seconds=seconds, optimum=min(found), iterations=iterations)


def _trace(problem: LayerProblem, name: DescentName, make: Callable[[], Descent], iterations: int, removed: float) -> tuple[Trace, Tensor]:
    """The descent's errors and seconds, both from before its first iteration on, and the weights it ends with."""
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
    return Trace(name=name, errors=tuple(errors), seconds=tuple(seconds)), descent.weight
