"""The small matrix of a lesson as a LayerProblem, float64, whose Gram matrix is the damped H itself: all methods run on it at λ = 0."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.linalg.damping import damp
from core.records.lessons import MOST_COLUMNS, MOST_ROWS, Matrix
from core.spec.errors import BadInput

_SINGULAR = 1e-10  # smallest over largest eigenvalue: below this, half of the digits of H⁻¹ and more are rounding


def small_problem(asked: Matrix, find: Callable[[str], LayerProblem]) -> LayerProblem:
    """W [c, b] and H [b, b]. `find` gives the model's layers by name. Raises BadInput for a window outside, or an H without inverse."""
    weight, gram = _drawn(asked) if asked.source == "drawn" else _window(asked, find(asked.layer))
    return _damped(asked, weight, gram, "this matrix")


def whole_problem(asked: Matrix, find: Callable[[str], LayerProblem]) -> LayerProblem:
    """The whole layer of which the matrix is a window, in the same way. Raises BadInput."""
    layer = find(asked.layer)
    return _damped(asked, layer.weight.double().cpu(), layer.gram.double().cpu() / layer.tokens, layer.name)


def _damped(asked: Matrix, weight: Tensor, gram: Tensor, name: str) -> LayerProblem:
    hessian = damp(gram, asked.damping)
    values = torch.linalg.eigvalsh(hessian)
    if float(values[0]) <= _SINGULAR * float(values[-1]):
        raise BadInput("damping", asked.damping, "a λ for which H has an inverse: its smallest eigenvalue is "
                       f"{max(float(values[0] / values[-1]), 0.0):.0e} of its largest",
                       "Some of these inputs are a sum of the others, so weights can go at no loss at all, and 1/[H⁻¹]_qq is 0/0. "
                       "This is what damping is for: raise λ (try 0.01)" + (", or lower ρ." if asked.source == "drawn" else "."))
    return LayerProblem(weight=weight, gram=hessian, tokens=1, name=name)


def _window(asked: Matrix, layer: LayerProblem) -> tuple[Tensor, Tensor]:
    rows, columns = layer.weight.shape
    for field, first, count, there in (("first_row", asked.first_row, asked.rows, rows),
                                       ("first_column", asked.first_column, asked.columns, columns)):
        if first + count > there:
            allowed = f"0 to {there - count}: {layer.name} is {rows} × {columns}"
            raise BadInput(field, first, allowed, "Move the window, or make it smaller.")
    down, right = slice(asked.first_row, asked.first_row + asked.rows), slice(asked.first_column, asked.first_column + asked.columns)
    return layer.weight[down, right].double().cpu(), layer.gram[right, right].double().cpu() / layer.tokens


def _drawn(asked: Matrix) -> tuple[Tensor, Tensor]:
    """A larger matrix of the same seed begins with the smaller one."""
    rng = np.random.default_rng(asked.seed)
    weight = rng.standard_normal((MOST_ROWS, MOST_COLUMNS))[: asked.rows, : asked.columns]
    size = np.exp(0.5 * rng.standard_normal(MOST_COLUMNS))[: asked.columns]
    apart = np.abs(np.arange(asked.columns)[:, None] - np.arange(asked.columns))
    return torch.tensor(weight), torch.tensor(size[:, None] * size * np.power(asked.correlation, apart))
