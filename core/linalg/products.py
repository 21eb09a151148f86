"""Products of float32 matrices on a CPU, by the faster of the two libraries that come with torch.

torch itself asks MKL, which on AMD's processors leaves AVX-512 unused. oneDNN uses it: two to three times the multiply-adds a second
(`python -m bench.layers` prints both). Everything here falls back to torch's own where it is not faster: other processors and dtypes,
a GPU, small matrices, gradients. The same machine takes the same way each time, so bits stay what they are.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_CPU = Path("/proc/cpuinfo")
_LEAST = 2**21  # multiply-adds: what is smaller is done before oneDNN has been called


def product(left: Tensor, right: Tensor) -> Tensor:
    """left [m, k] · right [k, n]: a new matrix [m, n]."""
    if _faster(left, right):
        return _linear(left, _dense(right.T), None)
    return left @ right


def add_product(out: Tensor, left: Tensor, right: Tensor, scale: float = 1.0) -> Tensor:
    """out [m, n] += scale · left [m, k] · right [k, n], in place; returns `out`."""
    if _faster(left, right):
        return out.add_(_linear(left, _dense(right.T), None), alpha=scale)
    return out.addmm_(left, right, alpha=scale)


class FastLayers(TorchFunctionMode):
    """`with FastLayers():` a model's linear layers are computed so too, in this thread."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        if func is functional.linear and not kwargs and len(args) in (2, 3):
            if args[1].ndim == 2 and _faster(args[0], args[1].T):
                return _linear(args[0], _dense(args[1]), args[2] if len(args) == 3 else None)
        elif func is torch.addmm and not kwargs and len(args) == 3 and args[0].ndim == 1 and _faster(args[1], args[2]):
            return _linear(args[1], _dense(args[2].T), args[0])  # as GPT-2's layers ask
        return func(*args, **kwargs or {})


def _faster(left: Tensor, right: Tensor) -> bool:
    return (left.numel() * right.shape[-1] >= _LEAST and left.dtype == right.dtype == torch.float32
            and left.device.type == right.device.type == "cpu" and available()
            and not (torch.is_grad_enabled() and (left.requires_grad or right.requires_grad)))


def _dense(matrix: Tensor) -> Tensor:
    """The matrix without gaps between its rows or between its columns: for others oneDNN has no kernel worth the name."""
    return matrix if matrix.is_contiguous() or matrix.T.is_contiguous() else matrix.contiguous()


def _linear(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """inputs [..., k] · weight [n, k]ᵀ + bias [n] by oneDNN. The only call of torch's private operator; `available` guards it."""
    return torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")


@lru_cache(maxsize=1)
def available() -> bool:
    """True if oneDNN's product is to be used: an AMD processor with AVX-512, and a torch whose private operator gives the product."""
    try:
        vendor = "AuthenticAMD" in _CPU.read_text()
    except OSError:
        return False
    return vendor and "AVX512" in torch.backends.cpu.get_cpu_capability() and operator_works()


def operator_works() -> bool:
    """True if the private operator takes these arguments and computes inputs·weightᵀ + bias: tried on numbers that it cannot round."""
    inputs, weight, bias = torch.arange(6.0).view(2, 3), torch.arange(12.0).view(4, 3), torch.arange(4.0)
    try:
        return torch.equal(_linear(inputs, weight, bias), inputs @ weight.T + bias)
    except (AttributeError, RuntimeError, TypeError):
        return False
