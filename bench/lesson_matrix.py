"""The matrix that Learn shows first: the window of the demo model that meets the criterion of core/lessons/contrasts.py best.

    python -m bench.lesson_matrix        prints the windows that meet it, and all contrasts of the best

Windows begin at every row and at every second input. What the contrasts of stop 1 leave over, of some two million, is tried in full.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from core.layer.problem import LayerProblem
from core.lessons.contrasts import contrasts
from core.lessons.problems import small_problem
from core.models.open_model import open_model
from core.records.lessons import Matrix
from core.spec import RunSpec
from core.spec.errors import PruneError
from core.whatif.session import Session

ROWS, COLUMNS, DAMPING = (Matrix.model_fields[name].default for name in ("rows", "columns", "damping"))
Floats = NDArray[np.float64]


def likely(problem: LayerProblem) -> Iterator[tuple[int, int]]:
    """First rows and inputs of the windows on which OBD orders the weights better than magnitude, and not as the loss does."""
    weight, gram = problem.weight.double().numpy(), problem.gram.double().numpy() / problem.tokens
    for row, column in itertools.product(range(ROWS), range(0, COLUMNS, 2)):
        down, across = (len(weight) - row) // ROWS, (weight.shape[1] - column) // COLUMNS
        if not (down and across):
            continue
        places = [slice(start, start + COLUMNS) for start in range(column, column + across * COLUMNS, COLUMNS)]
        hessian = np.stack([gram[place, place] for place in places])
        hessian += DAMPING * np.einsum("kii->k", hessian)[:, None, None] / COLUMNS * np.eye(COLUMNS)
        energy, inverse = np.einsum("kii->ki", hessian), np.einsum("kii->ki", np.linalg.inv(hessian))
        part = weight[row : row + down * ROWS, column : column + across * COLUMNS]
        cells = part.reshape(down, ROWS, across, COLUMNS).transpose(0, 2, 1, 3)
        loss, diagonal, size = ((values).reshape(down * across, -1) for values in (
            cells**2 / inverse[None, :, None], cells**2 * energy[None, :, None], np.abs(cells)))
        agreement = _agreement(diagonal, loss)
        fits = (agreement - _agreement(size, loss) >= 0.04) & (1 - agreement >= 0.006) & (size.argmin(1) != loss.argmin(1))
        for at in np.flatnonzero(fits).tolist():
            yield row + at // across * ROWS, column + at % across * COLUMNS


def _agreement(score: Floats, loss: Floats) -> Floats:
    """Spearman's rank correlation of each window: [n, k], [n, k] -> [n]."""
    first, second = (values.argsort(1).argsort(1) - (values.shape[1] - 1) / 2 for values in (score, loss))
    return (first * second).sum(1) / np.sqrt((first**2).sum(1) * (second**2).sum(1))


def margin(matrix: Matrix, find: Callable[[str], LayerProblem], least: float = 1.0) -> float:
    """The smallest contrast over its least; 0 where it is below `least` of it, at the first that is, or where a method fails."""
    smallest = math.inf
    try:
        for contrast in contrasts(small_problem(matrix, find)):
            smallest = min(smallest, contrast.value / contrast.least)
            if not smallest >= least:  # NaN too
                return 0.0
    except PruneError:
        return 0.0
    return float(smallest)


def main() -> None:
    """The command line."""
    session = Session(open_model(RunSpec(), torch.device("cpu")))
    best: list[tuple[float, Matrix]] = []
    for layer in session.layers:
        for row, column in likely(session.problem(layer.name)):
            matrix = Matrix(layer=layer.name, first_row=row, first_column=column)
            if found := margin(matrix, session.problem):
                best.append((found, matrix))
                print(f"{found:6.2f}  {matrix.layer}, row {row}, input {column}", flush=True)
    matrix = max(best, key=lambda pair: pair[0])[1]
    print(f"the best: {matrix.layer}, row {matrix.first_row}, input {matrix.first_column}")
    for contrast in contrasts(small_problem(matrix, session.problem)):
        print(f"stop {contrast.stop}  {contrast.value:8.3f} (least {contrast.least})  {contrast.what}")


if __name__ == "__main__":
    main()
