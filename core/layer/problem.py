"""One layer to prune.

c rows out, b columns in. Every method sees a layer only through W and the Gram matrix G = XXᵀ of its inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from torch import Tensor

from core.linalg.cholesky import cholesky, inverse_factor
from core.linalg.damping import damp, with_raised_damping
from core.linalg.finite import count_not_finite, finite, remedy_for_overflow
from core.linalg.products import product
from core.spec.errors import BadInput, IllConditioned

_ROWS_AT_ONCE = 1024
_ROUNDING = 1e-5  # of the greatest entry, by which a symmetric matrix may differ from its transpose
Made = TypeVar("Made")


@dataclass(kw_only=True, eq=False)
class _OfInput:
    """Values that depend on G and the mean alone: made once for all layers with this input. `validated`: both have been checked."""

    validated: bool = False
    values: dict[object, object] = field(default_factory=dict[object, object])


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerProblem:
    """A layer: `weight` W [c, b] (any float dtype), `gram` G [b, b] (float32 or float64) over `tokens` calibration tokens.

    `mean` [b], any float dtype, is each input's mean over those tokens; with diag(G)/T it gives the variances. Only DSnoT needs it.
    `output_weight` [c], positive, says how much the error of each output counts where a method chooses; [c, c], positive definite, also
    what errors of two outputs cost together, V in tr(VΔGΔᵀ), for methods that couple rows (the others see its diagonal). The errors told
    count all outputs the same.
    Raises BadInput when shapes, dtypes or devices do not fit, or an entry is not finite.
    """

    weight: Tensor
    gram: Tensor
    tokens: int
    name: str = "layer"
    mean: Tensor | None = None
    output_weight: Tensor | None = None
    _shared: _OfInput = field(default_factory=_OfInput, repr=False)
    _own: dict[str, Tensor] = field(init=False, default_factory=dict[str, Tensor], repr=False)

    def __post_init__(self) -> None:
        weight, gram = self.weight, self.gram
        if weight.ndim != 2 or not weight.is_floating_point() or 0 in weight.shape:
            raise BadInput("weight", f"{tuple(weight.shape)} {weight.dtype}", "a float matrix [out, in]", "Pass W as c×b.")
        if gram.shape != (weight.shape[1],) * 2:
            raise BadInput("gram", tuple(gram.shape), f"[in, in] = {(weight.shape[1],) * 2}",
                           "Pass G = XXᵀ of this layer's inputs.")
        if gram.dtype not in (torch.float32, torch.float64):
            raise BadInput("gram", str(gram.dtype), "float32 or float64", "Accumulate G in float32 at least.")
        if gram.device != weight.device:
            raise BadInput("gram", str(gram.device), f"the weight's device, {weight.device}", "Move one of them.")
        if not finite(weight):
            raise BadInput(self.name, count_not_finite(weight, "the weight"), "finite weights", "Use a checkpoint without them.")
        if not (self._shared.validated or finite(gram)):
            raise BadInput(self.name, count_not_finite(gram, "the Gram matrix of the inputs"), "finite inputs",
                           remedy_for_overflow(weight.dtype))
        if self.mean is not None and not self._shared.validated:
            self._check_mean(self.mean)
        self._shared.validated = True
        if self.output_weight is not None:
            self._check_output_weight(self.output_weight)

    def _check_output_weight(self, weights: Tensor) -> None:
        size, device = len(self.weight), self.weight.device
        if weights.shape not in ((size,), (size, size)) or weights.device != device or not _positive(weights):
            raise BadInput("output_weight", f"{tuple(weights.shape)} on {weights.device}",
                           f"positive numbers [out] = [{size}], or a positive definite matrix [out, out], on {device}",
                           "Pass one for each row of W, or for each pair of rows.")

    def _check_mean(self, mean: Tensor) -> None:
        """A mean's square is at most the mean square: a sum over tokens, or another layer's mean, is not."""
        if mean.shape != self.gram.shape[:1] or not mean.is_floating_point() or mean.device != self.gram.device:
            raise BadInput("mean", f"{tuple(mean.shape)} {mean.dtype} on {mean.device}",
                           f"floats [in] = [{len(self.gram)}] on {self.gram.device}", "Pass X.mean(1), a number for each input.")
        most = self.gram.diagonal().clamp(min=0).double() / self.tokens
        if not bool((mean.double().square() <= 1.01 * most + 1e-30).all()):
            raise BadInput("mean", "a mean that is not these inputs'", "finite, its square at most diag(G)/tokens",
                           "Pass the mean over the same tokens as the Gram matrix, not their sum.")

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the arithmetic: float32, or float64 where W or G is."""
        return torch.promote_types(torch.promote_types(self.weight.dtype, self.gram.dtype), torch.float32)

    @property
    def working_gram(self) -> Tensor:
        return self.gram.to(self.dtype)

    @property
    def working_weight(self) -> Tensor:
        """W in the dtype of the arithmetic; not a copy where it is already."""
        return self.weight.to(self.dtype)

    @property
    def dead(self) -> Tensor:
        """bool [b]: inputs that no calibration token used (G_jj = 0). Their columns go first and cost nothing."""
        return self.gram.diagonal() <= 0

    @property
    def input_norm(self) -> Tensor:
        """√G_jj = ‖X_j‖ [b]."""
        return self.gram.diagonal().clamp(min=0).sqrt().to(self.dtype)

    def row_energy(self) -> Tensor:
        """h_i = ‖W_i X‖² = W_i G W_iᵀ [c], exact, over all calibration tokens; computed once."""
        if "rows" not in self._own:
            self._own["rows"] = self._energies(self.working_weight)
        return self._own["rows"]

    def with_row_energy(self, energy: Tensor) -> LayerProblem:
        """The same, h_i [c] known from before."""
        known = replace(self)
        known._own["rows"] = energy.to(self.weight.device, self.dtype)
        return known

    def error(self, weight: Tensor) -> Tensor:
        """f(Ŵ) = tr((Ŵ−W) G (Ŵ−W)ᵀ), a float64 scalar."""
        return self._energies(weight.to(self.dtype), self.working_weight).sum(dtype=torch.float64).clamp(min=0)

    def row_errors(self, weight: Tensor) -> Tensor:
        """(Ŵ_i − W_i) G (Ŵ_i − W_i)ᵀ of each row [c]."""
        return self._energies(weight.to(self.dtype), self.working_weight)

    def weighted_error(self, weight: Tensor) -> Tensor:
        """tr(V(Ŵ−W)G(Ŵ−W)ᵀ), V the output weights, which there must be (diag of them where they are a vector): a float64 scalar."""
        assert self.output_weight is not None
        change = weight.to(self.dtype) - self.working_weight
        counts = self.output_weight.to(self.dtype)
        counted = product(counts, change) if counts.ndim == 2 else counts[:, None] * change
        return (product(change, self.working_gram) * counted).sum(dtype=torch.float64).clamp(min=0)

    def energy(self) -> Tensor:
        """tr(W G Wᵀ), the error of removing everything: a float64 scalar."""
        if "energy" not in self._own:
            self._own["energy"] = self.row_energy().sum(dtype=torch.float64)
        return self._own["energy"]

    def _energies(self, weight: Tensor, origin: Tensor | None = None) -> Tensor:
        """The diagonal of D G Dᵀ [c], D = weight − origin, some rows at a time: no temporary the size of the layer."""
        gram, parts = self.working_gram, list[Tensor]()
        for start in range(0, len(weight), _ROWS_AT_ONCE):
            rows = weight[start : start + _ROWS_AT_ONCE]
            if origin is not None:
                rows = rows - origin[start : start + _ROWS_AT_ONCE]
            parts.append((product(rows, gram) * rows).sum(1))
        return torch.cat(parts)

    def relative(self, error: Tensor) -> float:
        """f divided by tr(W G Wᵀ); 0 for a layer whose output is nothing."""
        energy = self.energy()
        return float(torch.where(energy > 0, error.double() / energy, torch.zeros_like(energy)))

    def hessian(self, damping: float) -> Tensor:
        """H = G + λ·mean(diag G)·I [b, b]."""
        return damp(self.working_gram, damping)

    def factor(self, damping: float, *, may_raise: bool = False) -> tuple[Tensor, float]:
        """U with H⁻¹ = UᵀU, and the λ used; computed once for all layers with this input.

        Raises IllConditioned; with `may_raise`, first tries ten times the damping, up to three times.
        """
        return self.shared(("factor", damping, may_raise), lambda: with_raised_damping(
            lambda value: inverse_factor(self.hessian(value), layer=self.name, damping=value), damping, may_raise=may_raise))

    def shared(self, key: tuple[object, ...], make: Callable[[], Made]) -> Made:
        """A value that depends on G alone: made once for all layers with this input."""
        key, values = (*key, self.dtype), self._shared.values
        if key not in values:
            values[key] = make()
        return values[key]  # type: ignore[return-value]

    def with_weight(self, weight: Tensor, name: str | None = None, output_weight: Tensor | None = None) -> LayerProblem:
        """Another layer with the same input: what was computed from G alone is shared."""
        return replace(self, weight=weight, name=name or self.name, output_weight=output_weight)


def _positive(weights: Tensor) -> bool:
    if weights.ndim == 1:
        return bool((weights > 0).all())
    if not finite(weights) or float((weights - weights.T).abs().max()) > _ROUNDING * float(weights.diagonal().abs().max()):
        return False
    try:
        cholesky(weights)
    except IllConditioned:
        return False
    return True
