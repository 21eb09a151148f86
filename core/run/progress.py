"""Progress, remaining time, seconds by stage and peak memory of a run."""

from __future__ import annotations

import contextlib
import resource
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import torch

from core.linalg.clock import now


class Meter:
    """Counts work done against work expected (any unit) and seconds by stage."""

    def __init__(self, device: torch.device) -> None:
        self.started = time.time()
        self._clock = time.perf_counter()
        self._device = device
        self._done = 0.0
        self._skipped = 0.0
        self.expected = 1.0
        self.stages: dict[str, float] = defaultdict(float)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        with contextlib.suppress(OSError):  # Linux: the process's peak starts again from here
            Path("/proc/self/clear_refs").write_text("5")

    @contextlib.contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Seconds inside go to `name`, with the device's queue drained at both ends."""
        start = now(self._device)
        try:
            yield
        finally:
            self.stages[name] += now(self._device) - start

    def advance(self, work: float, *, skipped: bool = False) -> None:
        """`work` of the expected work is done; `skipped`: taken over from before, at no cost."""
        self._done += work
        self._skipped += work if skipped else 0.0

    def leave_out(self, seconds: float) -> None:
        """Seconds since the start that are not this run's: of others that share its reading of the model."""
        self._clock += seconds

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._clock

    @property
    def fraction(self) -> float:
        return min(1.0, self._done / self.expected)

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far; None before there is one."""
        real = self._done - self._skipped
        if real < 0.02 * self.expected:
            return None
        return max(0.0, self.expected - self._done) * self.seconds / real

    def peak_memory_bytes(self) -> int:
        """Of the GPU where there is one; else the peak resident memory of this process during the run."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        with contextlib.suppress(OSError, StopIteration, ValueError):
            lines = Path("/proc/self/status").read_text().splitlines()
            return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
