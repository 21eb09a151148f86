"""Work on every layer of a model side by side, those that share an input on one core, so that its Gram matrix is factored once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from itertools import chain
from typing import TypeVar

import torch

from core.layer.problem import LayerProblem
from core.linalg.cancellation import cancel_unless, check_cancelled
from core.linalg.parallel import map_layers

Made = TypeVar("Made")


def over_layers(problems: Mapping[str, LayerProblem], work: Callable[[str], Made], device: torch.device, wanted: Callable[[], bool], *,
                some: Collection[str] | None = None, at_once: int | None = None) -> dict[str, Made]:
    """work(name) for every layer, or for `some`, in the order of `problems`. On as many cores as torch uses, or on `at_once`.

    Layers of one input run one after another on one core, which factors its Gram matrix once.

    Raises Cancelled between two layers, or in one that checks, where `wanted` says no.
    """
    problems = problems if some is None else {name: problem for name, problem in problems.items() if name in some}
    inputs: dict[int, list[str]] = {}
    for name, problem in problems.items():
        inputs.setdefault(id(problem.gram), []).append(name)

    def together(names: list[str]) -> dict[str, Made]:
        made: dict[str, Made] = {}
        with cancel_unless(wanted):
            for name in names:
                check_cancelled()
                made[name] = work(name)
        return made

    longest_first = sorted(inputs.values(), reverse=True, key=lambda names: sum(
        problems[name].weight.numel() * problems[name].weight.shape[1] for name in names))
    shares = longest_first if at_once is None else [[*chain(*longest_first[start::at_once])] for start in range(at_once)]
    done = {name: made for part in map_layers(together, shares, device) for name, made in part.items()}
    return {name: done[name] for name in problems}


def drained(turns: Generator[object, None, Made], wanted: Callable[[], bool]) -> Made:
    """Value of a generator at its end. Raises Cancelled between two steps, or in one that checks, where `wanted` says no."""
    with cancel_unless(wanted):
        while True:
            check_cancelled()
            try:
                next(turns)
            except StopIteration as stop:
                return stop.value
