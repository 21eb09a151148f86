"""Room for the hidden states of all windows: on the device, in memory, or in a file that is mapped into it."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from core.data.places import default_home
from core.records.plans import Activations
from core.spec.errors import BadInput

_RESERVE = 256 << 20  # bytes left free beside a file


@dataclass(frozen=True, kw_only=True)
class ActivationRoom:
    """Makes tensors that are written by batches of windows and read back, in one of three places."""

    place: Activations
    device: torch.device

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A tensor of any content. One in a file lives below PRUNESCOPE_HOME without a name, so that nothing of it stays behind a process
        that was killed. Raises BadInput where the disk is too small."""
        if self.place == "disk":
            return _in_file(shape, dtype)
        return torch.empty(*shape, dtype=dtype, device=self.device if self.place == "device" else "cpu")

    def copy(self, hidden: Tensor) -> Tensor:
        """A copy of [n, L, d] in a place of its own."""
        return self.empty(hidden.shape, hidden.dtype).copy_(hidden)


def disk_room() -> int:
    """Bytes of activations that the disk below PRUNESCOPE_HOME takes beside what is kept free."""
    home = default_home()
    home.mkdir(parents=True, exist_ok=True)
    return max(0, shutil.disk_usage(home).free - _RESERVE)


def _in_file(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    home, size = default_home(), prod(shape) * dtype.itemsize
    if disk_room() < size:
        free = shutil.disk_usage(home).free
        raise BadInput("disk", f"{free / 1e9:.1f} GB free", f"at least {(size + _RESERVE) / 1e9:.1f} GB free below {home}, for the "
                       "activations that do not fit into memory", "Free some, use fewer or shorter windows, or set PRUNESCOPE_HOME to a "
                       "folder on a larger disk.")
    handle, name = tempfile.mkstemp(prefix="activations-", dir=home)
    try:
        os.close(handle)
        return torch.from_file(name, shared=True, size=prod(shape), dtype=dtype).view(*shape)
    finally:
        os.unlink(name)
