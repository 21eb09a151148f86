"""PyTorch's semi-structured (2:4) tensors in place of pruned weights, where this device has kernels for them; else the reason."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from core.evaluate.size import count_layer
from core.models.blocks import Linear

_LEAST_CAPABILITY = (8, 0)  # NVIDIA Ampere
_DTYPES = (torch.float16, torch.bfloat16)
Packed = list[tuple[Linear, Any]]


def pack(placed: Sequence[tuple[Linear, Tensor]], device: torch.device) -> tuple[Packed, str]:
    """Layers with their weights [out, in] as 2:4 tensors, those that fit; or none, and why."""
    reason = _reason(placed, device)
    if reason:
        return [], reason
    from torch.sparse import to_sparse_semi_structured

    found: Packed = []
    refused = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the interface is a prototype, it says
        for linear, weight in placed:
            if not isinstance(linear.layer, nn.Linear) or not count_layer(weight).fits_two_four:
                continue
            try:
                found.append((linear, to_sparse_semi_structured(weight)))
            except torch.OutOfMemoryError:
                raise  # no refusal of the kernels: told as want of memory
            except (RuntimeError, NotImplementedError, ValueError) as error:
                refused = f"PyTorch does not pack these weights: {first_line(error)}"
    return found, "" if found else refused or "No layer's weights fit 2:4."


def first_line(error: Exception) -> str:
    """The first line of an error's text, at most 200 letters; the name of an error without one."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


@contextmanager
def packed(tensors: Packed) -> Generator[None]:
    """The layers compute with 2:4 tensors for the time of the `with`; their own parameters are put back."""
    own = [(linear.layer, linear.layer.weight) for linear, _ in tensors]
    try:
        for linear, tensor in tensors:
            linear.layer.weight = nn.Parameter(tensor, requires_grad=False)
        yield
    finally:
        for layer, parameter in own:
            layer.weight = parameter


def _reason(placed: Sequence[tuple[Linear, Tensor]], device: torch.device) -> str:
    """Reason why 2:4 tensors cannot be measured here; empty where they can."""
    needed = "PyTorch's 2:4 kernels need an NVIDIA GPU of compute capability 8.0 or newer"
    if not any(isinstance(linear.layer, nn.Linear) for linear, _ in placed):
        return "The layers of this family are not torch's Linear (GPT-2's are Conv1D), and PyTorch has 2:4 kernels for Linear only."
    if not any(isinstance(linear.layer, nn.Linear) and count_layer(weight).fits_two_four for linear, weight in placed):
        return "The weights do not fit 2:4, the only pattern that GPUs have kernels for."
    if device.type != "cuda":
        return f"{needed}; these models ran on a CPU."
    if torch.cuda.get_device_capability(device) < _LEAST_CAPABILITY:
        return f"{needed}; this one has {'.'.join(map(str, torch.cuda.get_device_capability(device)))}."
    if placed[0][1].dtype not in _DTYPES:
        return "PyTorch's 2:4 kernels compute in float16 or bfloat16: choose one of these as the arithmetic of the model."
    return ""
