"""Every method on whole layers beside the least time that this device could take: multiply-adds at its own matrix rate, and bytes at
its own copying rate, whichever is more. On a GPU where there is one.

    python -m bench.floor [--device cuda] [--layers 4096x4096,11008x4096] [--methods …] [--patterns 0.5,2:4,columns:0.3]

The bytes are those that no method can do without: W and G read once, W written once. What a method counts as its work is in
core/spec/methods. Factors are not kept from one solve to the next, and the counting of a layer's error is not in the seconds.
"""

from __future__ import annotations

import argparse

import torch

from bench.layers import layer, solve_seconds
from core import parse_pattern
from core.linalg.clock import now
from core.models.cost import matrix_rate
from core.models.device import choose_device, device_name
from core.spec import METHODS, make_method


def copying_rate(device: torch.device) -> float:
    """Bytes read and written a second by a copy of a quarter of a gibibyte: the best of five."""
    source = torch.zeros(1 << 26, device=device)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(5):
        start = now(device)
        target.copy_(source)
        best = min(best, now(device) - start)
    return 2 * source.nbytes / best


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    options.add_argument("--layers", help="rows×columns, with commas: on a GPU 4096x4096,11008x4096, else 1024x1024")
    options.add_argument("--methods", default=",".join(name for name in METHODS if name != "obc"), help="with commas; obc goes row by row "
                         "on the CPU, whatever the device")
    options.add_argument("--patterns", default="0.5,2:4,columns:0.3")
    options.add_argument("--threads", type=int, default=4)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    device = choose_device(given.device)
    rate, copying = matrix_rate(device), copying_rate(device)
    print(f"{device_name(device)}, torch {torch.__version__}, float32: {rate / 1e9:.0f} G multiply-adds/s, {copying / 1e9:.0f} GB/s copied")
    for size in (given.layers or ("4096x4096,11008x4096" if device.type == "cuda" else "1024x1024")).split(","):
        rows, columns = map(int, size.split("x"))
        problem = layer(rows, columns, str(device))
        print(f"\n{rows}×{columns}\n{'':24}{'seconds':>10}{'arithmetic':>12}{'memory':>10}{'over the more':>15}")
        memory = 4 * (2 * rows * columns + columns**2) / copying
        for name in given.methods.split(","):
            for word in given.patterns.split(","):
                pattern, method = parse_pattern(word), make_method(name)
                if pattern.kind in METHODS[name].refuses:
                    continue
                chosen = method.resolved(pattern)
                spent, _ = solve_seconds(problem, method, pattern)
                counted = (chosen.shared_work(columns, pattern) + chosen.layer_work(rows, columns, pattern)) / rate
                print(f"{name:11}{word:13}{spent:10.4f}{counted:12.4f}{memory:10.4f}{spent / max(counted, memory):15.1f}", flush=True)


if __name__ == "__main__":
    main()
