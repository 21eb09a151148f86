"""A GPU that is not there: its tensors say `is_cuda`, live in this process's memory, and every wait for them is written down.

With `pretended_gpu()` as gpu: `gpu.put(tensor)` is on the pretended device. An operation on such tensors computes what torch's CPU
kernels do, and refuses what a real device refuses: tensors of both sides in one operation, their memory as a numpy array. What
makes the host wait for a device (a value that is read, a shape that depends on values, a copy from or to the host) is counted,
with the line of core/ that asked for it. What it cannot show: the device's own kernels, their speed and their rounding.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.__future__ import get_swap_module_params_on_conversion, set_swap_module_params_on_conversion
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "pretend"
CORE = str(Path(__file__).resolve().parents[1] / "core")
aten = torch.ops.aten
READS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default,
         aten.repeat_interleave.Tensor, aten._unique2.default, aten.bincount.default}
COPIES = {aten._to_copy.default, aten.copy_.default}
INDEXED = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default}


class Resident(Tensor):
    """A tensor on the pretended device; `inner` is where its numbers are."""

    inner: Tensor
    is_cuda = property(lambda self: True)  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: Tensor) -> Resident:
        return Tensor._make_wrapper_subclass(cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(),
                                             dtype=inner.dtype, device=f"{NAME}:0")

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Resident({self.inner})"

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert a tensor of the pretended GPU to numpy: copy it to the host first")

    def data_ptr(self) -> int:
        return self.inner.data_ptr()

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} on a pretended GPU outside of pretended_gpu()")


class PretendedGpu(TorchDispatchMode):
    """`waits` counts, by the line of core/ that asked for it, how often the host waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.device = torch.device(NAME, 0)

    def put(self, tensor: Tensor) -> Tensor:
        return Resident(tensor.clone())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        residents = [leaf for leaf in leaves if isinstance(leaf, Resident)]
        device = kwargs.get("device")
        there = torch.device(device).type == NAME if device is not None else bool(residents)
        if not residents and not there:
            return func(*args, **kwargs)
        hosts = [leaf for leaf in leaves if not isinstance(leaf, Resident)]
        if func in READS or (func in COPIES and (hosts or there != bool(residents))):
            self.wait(func)
        elif func in INDEXED:
            self._check_index(func, args)
        elif residents and any(host.dim() for host in hosts):
            raise RuntimeError(f"{func}: expected all tensors to be on the same device, found {NAME}:0 and cpu")
        found = func(*tree_map(_on_host, args), **tree_map(_on_host, kwargs))
        if func is aten.copy_.default:
            return args[0]
        known = {id(leaf.inner): leaf for leaf in residents}
        return tree_map(lambda value: _there(value, known) if isinstance(value, Tensor) and there else value, found)

    def _check_index(self, func: Any, args: Any) -> None:
        """Indices on the host are copied; a mask's places are read, but where one number fills them."""
        places = [place for place in args[1] if place is not None]
        masks = any(place.dtype in (torch.bool, torch.uint8) for place in places)
        fills = func is not aten.index.Tensor and args[2].numel() == 1 and all(place.dtype == torch.bool for place in places)
        if any(not isinstance(place, Resident) for place in places) or (masks and not fills):
            self.wait(func)

    def wait(self, func: Any) -> None:
        for frame in reversed(traceback.extract_stack()):
            if frame.filename.startswith(CORE):
                self.waits[f"{Path(frame.filename).relative_to(CORE)}:{frame.lineno} {frame.name} {func}"] += 1
                return
        self.waits[f"elsewhere {func}"] += 1


class RealGpu:
    """The same, of a device that is there; nothing counts its waits."""

    device = torch.device("cuda", 0)
    waits: Counter[str] | None = None

    def put(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device)


def _there(value: Tensor, known: dict[int, Resident]) -> Resident:
    return known[id(value)] if id(value) in known else Resident(value)


def _on_host(value: Any) -> Any:
    if isinstance(value, Resident):
        return value.inner
    return torch.device("cpu") if isinstance(value, torch.device) and value.type == NAME else value


@cache
def register() -> torch.library.Library:
    """The device's name, and its empty tensors, which torch makes by itself for a number that is assigned.

    Once a process, before its first backward pass: that is when autograd counts the devices.
    """
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(NAME)
    library = torch.library.Library("aten", "IMPL")
    library.impl("empty.memory_format", lambda size, dtype=None, **_: Resident(torch.empty(size, dtype=dtype)), "PrivateUse1")
    library.impl("empty_strided", lambda size, stride, dtype=None, **_: Resident(torch.empty_strided(size, stride, dtype=dtype)),
                 "PrivateUse1")
    library.impl("_copy_from", _copied, "PrivateUse1")
    return library


def _copied(source: Tensor, into: Tensor, non_blocking: bool = False) -> Tensor:
    """What torch copies by itself: a number or list that is made on the host and then sent."""
    del non_blocking
    gpu = _get_current_dispatch_mode()
    if isinstance(gpu, PretendedGpu):
        gpu.wait("copy to the device")
    _on_host(into).copy_(_on_host(source))
    return into


@contextmanager
def pretended_gpu() -> Iterator[PretendedGpu]:
    """Only in the thread that enters it. Modules move there and back, and so does a parameter's data."""
    register()
    swaps, data = get_swap_module_params_on_conversion(), torch.Tensor.data
    set_swap_module_params_on_conversion(True)
    nn.Parameter.data = property(data.__get__, _set_data)  # type: ignore[assignment]
    Resident.data = property(Tensor.detach, _set_data)  # type: ignore[assignment]
    try:
        with torch.no_grad(), PretendedGpu() as gpu:
            yield gpu
    finally:
        set_swap_module_params_on_conversion(swaps)
        del nn.Parameter.data, Resident.data


def _set_data(parameter: nn.Parameter, value: Tensor) -> None:
    """torch refuses another class of tensor here, so the two change places."""
    torch.utils.swap_tensors(parameter, nn.Parameter(value, requires_grad=parameter.requires_grad))
