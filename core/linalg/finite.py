"""Tensors that hold a NaN or an infinity: found without a temporary, and counted in words."""

from __future__ import annotations

import torch
from torch import Tensor


def finite(tensor: Tensor) -> bool:
    """True where no entry is NaN or infinite; NaN is in both extremes. No temporary."""
    return bool(torch.stack(tensor.aminmax()).isfinite().all())


def count_not_finite(tensor: Tensor, name: str) -> str:
    """Entries of `tensor` that are no numbers, in words: `3 of 64 entries of NAME are NaN`."""
    nan, infinite = int(tensor.isnan().sum()), int(tensor.isinf().sum())
    kinds = "NaN or infinite" if nan and infinite else "NaN" if nan else "infinite"
    return f"{nan + infinite:,} of {tensor.numel():,} entries of {name} are {kinds}"


def remedy_for_overflow(dtype: torch.dtype) -> str:
    """Advice where activations are no numbers although the weights, of this dtype, are finite."""
    if dtype == torch.float16:
        return "Activations above 65504 overflow in float16: choose bfloat16 or float32."
    return f"All weights are finite, so an activation overflows in {str(dtype).removeprefix('torch.')}: look at the layers before."
