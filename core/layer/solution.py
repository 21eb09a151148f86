"""A pruned layer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerSolution:
    """A pruned layer: `weight` [c, b] in W's dtype, `pruned` bool [c, b] (there `weight` is exactly 0).

    `refitted_rows` had diverged and were given the least-squares weights of their mask. `seconds` is the method's time; `damping` the λ
    that its weights used, or else its mask (None: neither); `dense_rows` the indices of the rows that α kept; `dense_columns` how many
    inputs a last short n:m group left dense. `relative_error` is f(Ŵ)/tr(WGWᵀ).
    """

    weight: Tensor
    pruned: Tensor
    relative_error: float
    seconds: float
    dense_rows: Tensor
    damping: float | None = None
    dense_columns: int = 0
    refitted_rows: int = 0

    @property
    def counted_sparsity(self) -> float:
        """Zeros of the weight itself over its entries: counted, never assumed."""
        return (self.weight.numel() - int(self.weight.count_nonzero())) / self.weight.numel()
