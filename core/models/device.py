"""Device, dtype and batch size of a run."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import torch

from core.models.sources import ModelSource
from core.spec import RunSpec
from core.spec.errors import BadInput

BATCH_TOKENS = 4096  # of one forward: what a cache holds; 8192 and 2048 are slower


def choose_device(asked: str) -> torch.device:
    """Raises BadInput where a GPU is asked for and there is none."""
    if asked == "cuda" and not torch.cuda.is_available():
        raise BadInput("device", asked, "auto or cpu on this machine", "It has no CUDA device.")
    return torch.device("cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu")


def choose_dtype(spec: RunSpec, source: ModelSource, device: torch.device) -> torch.dtype:
    """The dtype of the model's own arithmetic."""
    if spec.dtype != "auto":
        return getattr(torch, spec.dtype)
    large = device.type == "cuda" and source.parameters > 1_000_000_000 and source.dtype in ("bfloat16", "float16")
    return getattr(torch, source.dtype) if large else torch.float32


def device_name(device: torch.device) -> str:
    threads = torch.get_num_threads()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {threads} thread{'s' * (threads > 1)}"
