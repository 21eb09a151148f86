"""Where a whole run's time goes: forward, Gram, solve, optimum, evaluate; and the run of the issue's budget.

    python -m bench.models [--threads 4] [--method thanos] [--pattern 0.5]
"""

from __future__ import annotations

import argparse

import torch

from core import Calibration, Evaluation, RunSpec, parse_pattern, plan, prune
from core.spec import make_method


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--threads", type=int, default=4)
    options.add_argument("--method", default="thanos")
    options.add_argument("--pattern", default="0.5")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    spec = RunSpec(method=make_method(given.method), pattern=parse_pattern(given.pattern), calibration=Calibration(windows=128, length=256),
                   evaluation=Evaluation(windows=128, length=256))
    planned = plan(spec)
    *_, last = prune(spec)
    result = last.result
    print(f"{spec.title}, calibration {planned.calibration}, evaluation {planned.evaluation}, {given.threads} threads")
    print(f"prune + evaluate {result.seconds:.1f} s (planned {planned.seconds:.1f} s), peak memory {result.peak_memory_bytes / 1e9:.2f} GB "
          f"(planned {planned.memory_bytes / 1e9:.2f} GB)")
    rest = result.seconds - sum(result.stages.values())
    for stage, spent in [*sorted(result.stages.items(), key=lambda item: -item[1]), ("other", rest)]:
        print(f"  {stage:10}{spent:8.2f} s{100 * spent / result.seconds:7.1f} %")
    print(f"  perplexity {result.dense.perplexity:.2f} → {result.pruned.perplexity:.2f} ({result.pruned.protocol})")


if __name__ == "__main__":
    main()
