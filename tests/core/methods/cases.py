"""Patterns, layers, methods with parameters, and the combinations of them that the tests of methods run over."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

import core
from core import BadInput, LayerProblem, LayerSolution, SemiStructured, Structured, Unstructured, steps
from core.linalg.cpu.swaps import tenure
from core.spec import METHODS, make_method
from tests import oracles
from tests.pairwise import covering

PATTERNS = {
    "0.5": Unstructured(sparsity=0.5),
    "0.9": Unstructured(sparsity=0.9),
    "0.7 a": Unstructured(sparsity=0.7, outlier_rows=0.3),
    "0.6 iso": Unstructured(sparsity=0.6, outlier_rows=0.3, alpha_budget="iso"),
    "2:4": SemiStructured(n=2, m=4),
    "5:8": SemiStructured(n=5, m=8),
    "1:3 a": SemiStructured(n=1, m=3, outlier_rows=0.3),
    "2:4 iso": SemiStructured(n=2, m=4, outlier_rows=0.5, alpha_budget="iso"),
    "0:4": SemiStructured(n=0, m=4),
    "4:4": SemiStructured(n=4, m=4),
    "columns": Structured(sparsity=0.3),
    "columns a": Structured(sparsity=0.45, outlier_rows=0.3),
}
LAYERS = {
    "16x32": {"rows": 16, "columns": 32},
    "172 inputs": {"rows": 4, "columns": 172},
    "one row": {"rows": 1, "columns": 19},
    "dead inputs": {"rows": 7, "columns": 30, "dead": (0, 5, 6, 29)},
    "rank-deficient": {"rows": 6, "columns": 33, "tokens": 11},
}
NARROW = [name for name, shape in LAYERS.items() if shape["columns"] < 100]
SOME = ("0.5", "0.6 iso", "1:3 a", "2:4", "columns a")
PARAMETERS: dict[str, tuple[dict[str, object], ...]] = {  # those that lead through different code
    "admm1": ({}, {"iterations": 3, "damping": 0.5, "granularity": "layer"}),
    "admm-grad": ({}, {"iterations": 9, "damping": 0.0, "granularity": "row"}),
    "obc": ({}, {"damping": 0.2, "granularity": "row"}),
    "adaprune": ({"iterations": 20},
                 {"optimizer": "sgd", "mask": "magnitude", "granularity": "layer", "iterations": 30, "learning_rate": 1.5}),
    "dsnot": ({}, {"mask": "sparsegpt", "cycles": 7, "threshold": 0.0}, {"mask": "magnitude", "threshold": 0.02}),
    "frontier": ({"patience": 5}, {"patience": 0}, {"rounds": 4, "steps": 2, "search": 0, "polish": 3, "damping": 0.3},
                 {"rounds": 3, "steps": 4, "search": 9, "damping": 0.1}),
    "alps": ({}, {"iterations": 40, "rho": 2.0, "every": 2, "polish": 3, "damping": 0.1}),
}


SPLITTING = ("alps", "frontier")  # masks found by iteration: of equal entries any may go


def has(name: str, parameter: str) -> bool:
    return parameter in METHODS[name].model_fields


def refused(name: str, pattern: object) -> bool:
    return pattern.kind in METHODS[name].refuses


def undamped(name: str) -> dict[str, object]:
    """Damping makes ADMM-Grad's pruned entries of equal inputs look larger than they are, by 1 + λ: not a tie any more."""
    return {"damping": 0.0} if has(name, "damping") else {}


def granularity(method: object) -> str:
    """What a method compares within; DSnoT what its first mask does, by that method's default."""
    first = make_method(method.mask) if method.name == "dsnot" else method
    return getattr(first, "granularity", "layer")


@dataclass(frozen=True)
class Way:
    """A method with its parameters."""

    name: str
    parameters: tuple[tuple[str, object], ...] = ()

    def __call__(self, problem: LayerProblem, pattern: object, **more: object) -> LayerSolution:
        return solve(problem, self.name, pattern, **dict(self.parameters), **more)

    def __str__(self) -> str:
        return "-".join([self.name, *(str(value) for _, value in self.parameters)])

    @property
    def granularity(self) -> str:
        return granularity(make_method(self.name, **dict(self.parameters)))

    @property
    def block_size(self) -> int:
        """B; for a method without blocks a block that is as wide as any layer here."""
        return dict(self.parameters).get("block_size", 1000)

    def textbook(self, problem: LayerProblem, pattern: object) -> oracles.Pruned:
        more = {"dsnot": {"mean": problem.mean.double().numpy(), "tokens": problem.tokens}, "frontier": {"rest": tenure}}
        return oracles.run(self.name, *arrays_of(problem), pattern, **more.get(self.name, {}), **dict(self.parameters))


def ways(name: str) -> list[Way]:
    if has(name, "block_size"):
        return [Way(name, (("block_size", size), ("damping", damping))) for size, damping in ((1, 0.01), (14, 0.3), (128, 0.01))]
    if name in PARAMETERS:
        return [Way(name, tuple(parameters.items())) for parameters in PARAMETERS[name]]
    return [Way(name, (("granularity", within),)) for within in ("layer", "row")] if has(name, "granularity") else [Way(name)]


WAYS = [way for name in METHODS for way in ways(name)]


def kind_of(word: object) -> str | None:
    """The kind of a pattern, for combinations: what takes all or nothing is one of its own, as it shows few faults."""
    return "all or nothing" if word in ("0:4", "4:4") else PATTERNS[word].kind if word in PATTERNS else None


def combinations(names: str, *axes: Sequence[Any], subjects: Sequence[Any] = WAYS, kinds: bool = False,
                 patterns: bool = False) -> pytest.MarkDecorator:
    """Parametrize `names`, a subject (a way or a method's name) and a value of each axis; values are words, patterns those of PATTERNS.

    Every subject occurs, each method with every value and with every kind of pattern at every value of the other axes, and every two
    values of different axes. `kinds`: each subject with every kind of pattern. `patterns`: each pattern once, and each method with
    every kind, in place of each method with each pattern. A pattern that the method refuses is left out.
    """

    def features(row: tuple[Any, ...]) -> Iterator[Hashable]:
        subject, *values = row
        method = getattr(subject, "name", subject)
        yield subject
        for axis, value in enumerate(values):
            kind = kind_of(value)
            yield axis, value
            yield method, axis, kind if patterns and kind else value
            if kinds and kind:
                yield subject, axis, kind
            for other in range(axis):
                yield axis, kind if patterns and kind else value, other, values[other]
                yield method, axis, kind or value, other, kind_of(values[other]) or values[other]

    def meaningful(row: tuple[Any, ...]) -> bool:
        name = getattr(row[0], "name", row[0])
        return not any(value in PATTERNS and refused(name, PATTERNS[value]) for value in row[1:])

    product: list[tuple[Any, ...]] = [(subject,) for subject in subjects]
    for axis in axes:
        product = [(*row, value) for row in product for value in axis]
    rows = covering(filter(meaningful, product), features)
    return pytest.mark.parametrize([name.strip() for name in names.split(",")], rows, ids=["-".join(map(str, row)) for row in rows])


every_method = pytest.mark.parametrize("name", METHODS)
every_way = pytest.mark.parametrize("way", WAYS, ids=str)
with_blocks = pytest.mark.parametrize("name", [name for name in METHODS if has(name, "block_size")])


def solve(problem: LayerProblem, method: object, pattern: object, **parameters: object) -> LayerSolution:
    """As core's; a pattern that has no meaning for the method is refused, and the test is over."""
    if method in METHODS and refused(method, pattern):
        with pytest.raises(BadInput, match=METHODS[method].refuses[pattern.kind]):
            core.solve(problem, method, pattern, **parameters)
        pytest.skip(f"refused by {method}")
    return core.solve(problem, method, pattern, **parameters)


def given_layer(weight: torch.Tensor, gram: torch.Tensor, *, tokens: int = 9, mean: torch.Tensor | None = None) -> LayerProblem:
    """A layer whose inputs have mean 0 unless it is given."""
    return LayerProblem(weight=weight, gram=gram, tokens=tokens, mean=torch.zeros(len(gram)) if mean is None else mean)


def changed(problem: LayerProblem, **values: object) -> LayerProblem:
    """The same layer but for `values`; nothing computed before is shared."""
    kept = {name: getattr(problem, name) for name in ("weight", "gram", "tokens", "name", "mean")}
    return LayerProblem(**(kept | values))


def arrays_of(problem: LayerProblem) -> tuple[np.ndarray, np.ndarray]:
    return problem.weight.double().numpy(), problem.gram.double().numpy()


def drained(problem: LayerProblem, name: str, pattern: object, **parameters: object) -> tuple[list, LayerSolution]:
    """All steps as (columns, pruned, weight, loss), copied as they pass by, and the solution."""
    generator, seen = steps(problem, make_method(name, **parameters), pattern), []
    while True:
        try:
            step = next(generator)
        except StopIteration as stop:
            return seen, stop.value
        loss = None if step.loss is None else float(step.loss)
        seen.append((step.columns, step.pruned.clone(), step.weight.clone(), loss))
