"""Findings and exercises about convergence to the optimum."""

from __future__ import annotations

import math

from app.learn.findings.common import Exercise
from app.shared import numbers
from core.records import DESCENTS, Convergence, Trace


def convergence_finding(found: Convergence, layer: str) -> str:
    """After how many iterations each comes within one percent of the optimum."""
    least = found.optimum or math.nan
    parts = [_reached(trace, least) for trace in found.traces]
    return (f"{layer}, Wanda's mask: the best kept weights leave {numbers.share(found.optimum)} of the output's energy, SparseGPT's "
            f"sweep {numbers.times(found.sweep / least)} as much. Iterations until within 1 % of the optimum, of {found.iterations}: "
            f"{', '.join(parts)}.")


def _reached(trace: Trace, least: float) -> str:
    """`ADMM after 12`, or how far it is at the end."""
    count = trace.iterations_to(1.01 * least)
    return f"{DESCENTS[trace.name]} {count}" if count is not None else (
        f"{DESCENTS[trace.name]} never ({numbers.times(trace.errors[-1] / least)} at the end)")


def convergence_exercises(found: Convergence) -> list[Exercise]:
    """Exercises on the sweep's error and on the order by time."""
    beats = [(DESCENTS[trace.name], trace.iterations_to(found.sweep)) for trace in found.traces]
    told = ", ".join(f"{name} after {count}" if count is not None else f"{name} not in {found.iterations}" for name, count in beats)
    sweep = 1e3 * found.sweep_seconds
    first = sorted((trace.seconds[count], DESCENTS[trace.name]) for trace in found.traces
                   if (count := trace.iterations_to(1.1 * found.optimum)) is not None)
    clock = ", ".join(f"{name} {numbers.error(1e3 * seconds)} ms" for seconds, name in first) or f"none in {found.iterations} iterations"
    return [
        ("After how many iterations is each no worse than SparseGPT's sweep?", f"{told}. The sweep itself takes "
         f"{numbers.error(sweep)} ms."),
        ("By the clock, who comes to within 10 % of the best, and when?", f"{clock}. Times differ from run to run; iterations do not."),
    ]
