"""Requests and answers of the lessons: a small matrix by name, and frozen records of arrays. No torch.

All losses are tr(ΔHΔᵀ) in float64, with H = G/T + λ·mean(diag G/T)·I: energies a token.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.spec.base import FrozenModel
from core.spec.methods import METHODS

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
MOST_ROWS, MOST_COLUMNS = 12, 24
STEPPED = tuple(name for name, method in METHODS.items() if "steps" in method.lessons)
COMPARED = tuple(name for name, method in METHODS.items() if "masks" in method.lessons)
REPAIRS = ("none", "sweep", "block", "admm", "gradient", "exact")
FORMULAS = ("none", "right", "part", "hessian")
STRENGTHS = tuple(0.5 * step for step in range(2, 21))  # 1 … 10: what a row can be multiplied by
SHORT_ROW = 12  # columns of a row whose every mask is tried: at most 924


class Matrix(FrozenModel):
    """A small layer: a window of a model's layer with the matching part of its Gram matrix, or a random one.

    The first window is chosen by a criterion (core/lessons/contrasts.py).

    A window is a true layer over those inputs. A drawn one has W normal and G_ij = s_i·s_j·ρ^|i−j| with s log-normal.
    """

    source: Literal["layer", "drawn"] = Field(default="layer", title="From", description="A layer of the demo model, or random numbers.")
    layer: str = Field(default="model.layers.1.self_attn.o_proj", min_length=1, max_length=200, title="Layer",
                       description="Which layer of the demo model.")
    first_row: int = Field(default=218, ge=0, le=1_000_000, title="First row", description="The window's first output.")
    first_column: int = Field(default=62, ge=0, le=1_000_000, title="First input", description="The window's first input.")
    rows: int = Field(default=6, ge=1, le=MOST_ROWS, title="Rows c", description=f"1 to {MOST_ROWS} outputs.")
    columns: int = Field(default=12, ge=2, le=MOST_COLUMNS, title="Columns b", description=f"2 to {MOST_COLUMNS} inputs.")
    correlation: float = Field(default=0.7, ge=0, le=1, title="Correlation ρ",
                               description="Of neighboring inputs. At 1 all inputs are the same.")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, title="Seed", description="Which random numbers.")
    damping: float = Field(default=0.01, ge=0, le=100, title="Damping λ",
                           description="This share of the mean diagonal is added to G. Part of H in all lessons.")


@dataclass(frozen=True, kw_only=True, eq=False)
class OneWeight:
    """The removal of each weight alone. weight, loss, diagonal, measured [c, b]; hessian, inverse [b, b]; change [c, b, b].

    loss = w²/[H⁻¹]_qq by the formula, `measured` = tr(ΔHΔᵀ) of the weights that came out; diagonal = w²·H_qq, without
    compensation. change[i, q] is Δ of row i when q goes. energy = tr(WHWᵀ).
    """

    weight: Floats
    hessian: Floats
    inverse: Floats
    loss: Floats
    measured: Floats
    diagonal: Floats
    change: Floats
    energy: float
    agreement: dict[str, float]  # Spearman's rank correlation of a simpler score with the loss, over all weights


@dataclass(frozen=True, kw_only=True, eq=False)
class TwoWeights:
    """The removal of pairs. pair [c, b, b]: the loss of removing q and r together (on the diagonal one alone); hessian, inverse [b, b]."""

    pair: Floats
    weight: Floats
    hessian: Floats
    inverse: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """The steps of one method, with the state before the first: k+1 states of pruned and weight [k+1, c, b].

    loss [k+1] is the method's own account, measured tr(ΔHΔᵀ) of the state's weights, optimum the least for its mask so far;
    frozen [k+1]: so many columns from the left can no longer move.
    """

    method: str
    pruned: Bools
    weight: Floats
    loss: Floats
    measured: Floats
    optimum: Floats
    frozen: NDArray[np.int64]

    @property
    def last(self) -> int:
        return len(self.loss) - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Stepped:
    """The same matrix, several methods; and for SparseGPT's final mask the update with every block size 1 … b: blocks [b, c, b]."""

    recordings: tuple[Recording, ...]
    weight: Floats
    energy: float
    mask: Bools
    blocks: Floats
    block_loss: Floats
    sweep_loss: float
    optimum: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Masks:
    """One short row: the masks of COMPARED and the best of all, [7, b]. own [7]: the loss with the method's own update (the best: exact).

    repaired [7, 6]: the loss of each mask with each update of REPAIRS. every [k]: the exact loss of all masks with `count` removals,
    sorted; rank [7]: a mask's place among them, from 0.
    """

    weight: Floats
    pruned: Bools
    own: Floats
    repaired: Floats
    every: Floats
    rank: NDArray[np.int64]
    energy: float
    count: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Formulas:
    """FORMULAS for removing columns. after [4, c, b] as they come out; left [4]: ‖W_S+Δ_S‖/‖W_S‖, 0 where the constraint holds.

    loss [4]: with the removed columns then set to 0, as any program does. gone bool [b].
    """

    weight: Floats
    gone: Bools
    after: Floats
    left: Floats
    loss: Floats
    energy: float

    def without_weights(self) -> Formulas:
        """The numbers alone, of a layer too large to show."""
        return replace(self, weight=self.weight[:0], after=self.after[:, :0])


@dataclass(frozen=True, kw_only=True, eq=False)
class RowChoices:
    """Choices of k rows that could stay dense, kept bool [n, c], and the error each leaves [n]. `every`: all there are, not some by lot."""

    kept: Bools
    error: Floats
    every: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class StrongRow:
    """Columns removed with k = 0, 1, 2 … rows dense: weight [k, c, b], kept bool [k, c] those of most energy, and relative errors.

    `before` [c, b] is W with its strong row, `shares` [c] the rows' h_i over their sum, `parts` [c, b] W_ij²·G_jj, whose sum over the
    pruned rows is v_j. `strong`: the row or the two that were multiplied. `choices` has the errors with other rows. turns: the factor
    from which on other columns go; NaN: never.
    """

    before: Floats
    shares: Floats
    parts: Floats
    weight: Floats
    kept: Bools
    error: tuple[float, ...]
    counted_sparsity: tuple[float, ...]
    choices: tuple[RowChoices, ...]
    turns: float
    strong: tuple[int, ...]


def label(method: str) -> str:
    """A method's name for people."""
    return METHODS[method].label
