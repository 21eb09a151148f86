"""Layer solves, in one process: seconds without the counting of their error, which has a column of its own; ratios to our SparseGPT
and to a plain transcription; temporary memory; growth with b.

    python -m bench.layers [--size 2048] [--threads 4] [--plain] [--growth]
"""

from __future__ import annotations

import argparse
import ctypes
import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from bench.plain_thanos import plain_thanos
from core import LayerProblem, LayerSolution, SemiStructured, Structured, Unstructured, solve
from core.linalg.products import product
from core.spec.methods import Method
from core.spec.patterns import Pattern

CASES = (("50 %", Unstructured(sparsity=0.5), 128), ("2:4", SemiStructured(n=2, m=4), 512), ("columns 30 %", Structured(sparsity=0.3), 128))


def layer(rows: int, columns: int, device: str = "cpu") -> LayerProblem:
    """Correlated inputs of uneven strength, three times as many tokens as inputs."""
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(columns, columns, generator=generator) / math.sqrt(columns) + torch.eye(columns)
    scale = torch.exp(0.5 * torch.randn(columns, 1, generator=generator))
    inputs = mix @ (scale * torch.randn(columns, 3 * columns, generator=generator))
    weight = torch.randn(rows, columns, generator=generator)
    return LayerProblem(weight=weight.to(device), gram=(inputs @ inputs.T).to(device), mean=inputs.mean(1).to(device),
                        tokens=3 * columns)


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """The median of `repeats` after one call that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def solve_seconds(problem: LayerProblem, method: str | Method, pattern: Pattern, **parameters: object) -> tuple[float, float]:
    """Medians of three (of nine for whole columns, which are soon done) after one that is not counted: the solve, and the counting of its
    error beside it."""
    times: list[tuple[float, float]] = []
    for _ in range(10 if isinstance(pattern, Structured) else 4):
        start = time.perf_counter()
        spent = solved(problem, method, pattern, **parameters).seconds
        times.append((spent, time.perf_counter() - start - spent))
    own, counting = zip(*times[1:], strict=True)
    return statistics.median(own), statistics.median(counting)


def plain_seconds(problem: LayerProblem, pattern: Pattern, block: int) -> float:
    start = time.perf_counter()
    plain_thanos(problem.weight, problem.gram, pattern, block)
    return time.perf_counter() - start


def solved(problem: LayerProblem, method: str | Method, pattern: Pattern, **parameters: object) -> LayerSolution:
    """Without the factors kept from an earlier solve."""
    fresh = LayerProblem(weight=problem.weight, gram=problem.gram, tokens=problem.tokens, mean=problem.mean)
    return solve(fresh, method, pattern, **parameters)


def temporary_bytes(method: str, size: int) -> int:
    """Peak resident memory of a 50 % solve above what was resident before it, in a process of its own (so that nothing freed
    earlier is used again unseen), with an allocator that gives large blocks back at once (so that what is freed is not counted)."""
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "1000000"
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_temporary_bytes, (method, size))


def _temporary_bytes(method: str, size: int) -> int:
    solved(layer(64, 64), method, Unstructured(sparsity=0.5))
    problem = layer(size, size)
    torch.linalg.cholesky(torch.eye(64))
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = _status("VmRSS")
    solved(problem, method, Unstructured(sparsity=0.5))
    return _status("VmHWM") - before


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--size", type=int, default=2048)
    options.add_argument("--threads", type=int, default=4)
    options.add_argument("--plain", action="store_true", help="also the plain transcription: minutes")
    options.add_argument("--growth", action="store_true", help="also b = 512 … 4096 and the fitted exponent")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    size = given.size
    problem = layer(size, size)
    once, torchs = seconds(lambda: product(problem.weight, problem.gram), 9), seconds(lambda: problem.weight @ problem.gram, 9)
    print(f"{size}×{size}, float32, {given.threads} threads, torch {torch.__version__}; one c×b×b product {once:.3f} s "
          f"({size**3 / once / 1e9:.0f} G multiply-adds/s; torch's own {torchs:.3f} s, {size**3 / torchs / 1e9:.0f})")
    heading = f"{'':14}{'SparseGPT s':>12}{'Thanos s':>10}{'ratio':>7}{'products':>10}{'+ error s':>11}"
    print(heading + (f"{'plain s':>10}{'plain/ours':>12}" if given.plain else ""))
    for name, pattern, block in CASES:
        reference, _ = solve_seconds(problem, "sparsegpt", pattern, block_size=128)
        ours, counting = solve_seconds(problem, "thanos", pattern, block_size=block)
        line = f"{name:14}{reference:12.3f}{ours:10.3f}{ours / reference:7.2f}{ours / once:10.1f}{counting:11.2f}"
        if given.plain:
            repeats = 9 if isinstance(pattern, Structured) else 1  # of all but whole columns one takes seconds
            plain = statistics.median(plain_seconds(problem, pattern, block) for _ in range(repeats))
            line += f"{plain:10.2f}{plain / ours:12.1f}"
        print(line, flush=True)
    own = (problem.weight.numel() + problem.gram.numel()) * 4
    for name in ("sparsegpt", "thanos"):
        grown = temporary_bytes(name, size)
        print(f"temporary memory, {name} 50 %: {grown / 2**20:.0f} MiB = {grown / own:.2f} × (W + G)")
    if given.growth:
        sizes = [512, 1024, 2048, 4096]
        times = [solve_seconds(layer(s, s), "thanos", Unstructured(sparsity=0.5))[0] for s in sizes]
        logs = [(math.log(s), math.log(t)) for s, t in zip(sizes, times, strict=True)]
        slope = statistics.linear_regression(*zip(*logs, strict=True)).slope
        measured = ", ".join(f"{size}: {spent:.2f} s" for size, spent in zip(sizes, times, strict=True))
        print(f"Thanos 50 %, c = b: {measured}; grows as b^{slope:.2f}")


if __name__ == "__main__":
    main()
