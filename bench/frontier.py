"""Quality of all methods: layer errors on eleven fixed layers, and held-out perplexity over three calibration seeds.

    python -m bench.frontier [--data ../shared/data] [--methods …] [--patterns …]
    python -m bench.frontier --perplexity [--models demo,stories260K] [--allocations even,marginal] [--propagations 0,0.5]
                             [--fishers 0,0.5] [--kept FOLDER]

Layer errors are ratios to ADMM-Grad's, of the same counted sparsity, with the geometric mean last. Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import torch

from bench.protocol import SEEDS, Texts, fixed_layers, mean_and_spread, perplexity, run_spec
from core import LayerProblem, optimum, parse_pattern, solve
from core.records import RunResult
from core.spec import METHODS, RunSpec, SemiStructured, make_method

REFERENCE = "admm-grad"


def geometric(values: list[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).log().mean().exp())


def layer_errors(layers: list[LayerProblem], methods: list[str], patterns: list[str]) -> None:
    """One table a pattern: methods down, layers across."""
    print(f"error over {REFERENCE}'s; the mean is geometric, of the first ten; gap: over the least possible for the own mask; float32, "
          f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    for number, problem in enumerate(layers, 1):
        print(f"  {number:2}  {problem.name}  {'×'.join(map(str, problem.weight.shape))}, {problem.tokens} tokens")
    for word in patterns:
        pattern = parse_pattern(word)
        base = [solve(problem, REFERENCE, pattern) for problem in layers]
        numbers = "".join(f"{number:7}" for number in range(1, len(layers) + 1))
        print(f"\n{word:12}{'mean':>8}{'gap':>7}{'counted':>9}{'seconds':>9}  {numbers}")
        for name in methods:
            if pattern.kind in METHODS[name].refuses:
                continue
            start = time.perf_counter()
            found = [solve(problem, name, pattern) for problem in layers]
            spent = time.perf_counter() - start
            counted = sum(solution.counted_sparsity for solution in found) / len(found)
            ratios = [a.relative_error / b.relative_error for a, b in zip(found, base, strict=True)]
            gaps = [a.relative_error / problem.relative(problem.error(optimum(problem, a.pruned)))
                    for a, problem in zip(found, layers, strict=True)]
            means = f"{geometric(ratios[:10]):8.3f}{geometric(gaps[:10]):7.2f}"
            each = "".join(f"{ratio:7.3f}" for ratio in ratios)
            print(f"{name:12}{means}{100 * counted:7.2f} %{spent:9.2f}  {each}", flush=True)


def perplexities(models: list[str], methods: list[str], patterns: list[str], options: list[dict[str, Any]], seeds: tuple[int, ...],
                 texts: Texts, kept: Path | None) -> None:
    """One table a model: methods down, patterns across, mean ± half the range over the seeds."""
    for model in models:
        print()
        first = True
        for name, option in itertools.product(methods, options):
            said = [name, *(f"{value}" for field, value in option.items() if value != RunSpec.model_fields[field].default)]
            line, results = f"{' '.join(said):26}", list[RunResult]()
            for word in patterns:
                pattern = parse_pattern(word)
                if pattern.kind in METHODS[name].refuses or (option["allocation"] != "even" and isinstance(pattern, SemiStructured)):
                    line += f"{'–':>16}"
                    continue
                results = [perplexity(run_spec(model, texts, make_method(name), pattern, seed, **option), kept)
                           for seed in seeds]
                line += f"{mean_and_spread([result.pruned.perplexity for result in results]):>16}"
            if first and results:
                print(f"{model}: perplexity on {results[0].pruned.protocol}; dense {results[0].dense.perplexity:.2f}\n"
                      f"calibration {results[0].calibration}; seeds {', '.join(map(str, seeds))}\n"
                      f"{'':26}" + "".join(f"{word:>16}" for word in patterns))
                first = False
            print(line, flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=Path("../shared/data"), help="a folder with text/ and models/stories260K")
    options.add_argument("--perplexity", action="store_true", help="whole models instead of layers: an hour")
    options.add_argument("--methods", default=",".join(name for name in METHODS if name != "obc"), help="with commas; obc is slow")
    options.add_argument("--patterns", default="")
    options.add_argument("--models", default="demo,stories260K")
    options.add_argument("--allocations", default="even")
    options.add_argument("--propagations", default="0")
    options.add_argument("--fishers", default="0")
    options.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    options.add_argument("--kept", type=Path, help="a folder for finished runs, so that a second call goes on")
    options.add_argument("--threads", type=int, default=2)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    methods, texts = given.methods.split(","), Texts(data=given.data.resolve())
    if given.perplexity:
        patterns = (given.patterns or "0.5,0.6,0.7,2:4,columns:0.3").split(",")
        seeds = tuple(int(seed) for seed in given.seeds.split(","))
        choices: list[dict[str, Any]] = [{"allocation": allocation, "propagation": float(strength), "fisher": float(weighting)}
                                         for allocation, strength, weighting in itertools.product(
                                             given.allocations.split(","), given.propagations.split(","), given.fishers.split(","))]
        perplexities(given.models.split(","), methods, patterns, choices, seeds, texts, given.kept)
    else:
        layer_errors(fixed_layers(texts), methods, (given.patterns or "0.5,0.7,2:4,columns:0.3").split(","))


if __name__ == "__main__":
    main()
