"""The workers to start: one lane for each GPU or the CPU, and one for what-ifs."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import suppress
from dataclasses import dataclass

TERMINATE = 0.95  # of a worker's memory, beyond which Dask ends it


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A worker to start: what it computes, one thread for each of `resources`; its share of the machine's memory, the GPU it sees."""

    name: str
    resources: tuple[str, ...]
    memory: float
    gpu: str | None


def visible_gpus() -> tuple[str, ...]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them. Asks nvidia-smi, not torch."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        names = [name.strip() for name in chosen.split(",")]
        return tuple(name for name in names if name and name != "-1" and name.lower() != "none")
    with suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
        return tuple(re.findall(r"UUID: (MIG-[^)\s]+)", listed) or re.findall(r"UUID: (GPU-[^)\s]+)", listed))
    return ()


def lanes() -> tuple[Lane, ...]:
    """One device worker for each GPU, or one for the CPU; one interactive worker, which answers quick questions beside others."""
    gpus = visible_gpus()
    devices = [Lane(name=f"device-{i}", resources=("device",), memory=0.75 / max(1, len(gpus)), gpu=gpu)
               for i, gpu in enumerate(gpus or (None,))]
    return (*devices, interactive_lane())


def interactive_lane(name: str = "interactive-0", resources: tuple[str, str] = ("interactive", "quick")) -> Lane:
    """The worker that answers while a page waits, quick questions beside others."""
    gpus = visible_gpus()
    return Lane(name=name, resources=resources, memory=0.25, gpu=gpus[-1] if gpus else None)


def threads() -> int:
    """Threads of a worker: PRUNESCOPE_THREADS, or as many as the cores that this process may use."""
    from dask.system import CPU_COUNT

    return int(os.environ.get("PRUNESCOPE_THREADS") or CPU_COUNT)
