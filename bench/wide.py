"""Wide layers, few rows: each method's error, over the least for its own mask, and on tokens it has not seen.

    python -m bench.wide [--widths 1024,2048,4096,11008] [--rows 32] [--spectra white,mild,strong,power] [--tokens 1,2,10]
                         [--methods …] [--patterns 0.5,2:4] [--threads 2]

`--tokens` are calibration tokens a column; half as many again, and never fewer than two a column, are held out. A layer of 11008 inputs
needs 8 GiB. OBC is O(c·b³): leave it out beyond 2048 inputs. Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import math
import time

import torch

from core import LayerProblem, parse_pattern, solve
from core.layer.optimum import optimum_error
from core.spec import METHODS

SPECTRA = ("white", "mild", "strong", "power")


def wide_layer(rows: int, columns: int, spectrum: str, tokens: int, seed: int = 0) -> tuple[LayerProblem, LayerProblem]:
    """A layer with a Gram matrix of `tokens` a column, and with one of other tokens.

    white: independent inputs. mild: X = (I + E/2)Z. strong: a full mixing of features whose strength falls as j^−½. power: b/4 features
    that fall as j^−0.7, noise of a tenth, 1 % of the inputs 8 to 20 times as strong, 5 % of the rows 5 times.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    mixing, noise, gain = torch.eye(columns), 0.0, torch.ones(columns, 1)
    weight = normal(rows, columns) / math.sqrt(columns)
    if spectrum == "mild":
        mixing = mixing + 0.5 * normal(columns, columns) / math.sqrt(columns)
    elif spectrum == "strong":
        mixing = (normal(columns, columns) / math.sqrt(columns) + 0.3 * mixing) * torch.arange(1, columns + 1).pow(-0.5)
        gain = torch.exp(0.5 * normal(columns, 1))
    elif spectrum == "power":
        features, noise = columns // 4, 0.1
        mixing = normal(columns, features) * torch.arange(1, features + 1).pow(-0.7)
        gain[torch.randperm(columns, generator=generator)[: max(1, columns // 100)]] = 8 + 12 * torch.rand(1, generator=generator)
        weight[torch.randperm(rows, generator=generator)[: max(1, rows // 20)]] *= 5
    problems: list[LayerProblem] = []
    for count in (tokens * columns, max(2, tokens // 2) * columns):
        gram, mean = torch.zeros(columns, columns), torch.zeros(columns)
        for start in range(0, count, columns):
            inputs = mixing @ normal(mixing.shape[1], columns)
            inputs = gain * (inputs + noise * normal(columns, columns) if noise else inputs)
            gram.addmm_(inputs, inputs.T)
            mean += inputs.sum(1) / count
            assert start + columns <= count
        name = f"{spectrum} {rows}×{columns}, {tokens} tokens a column"
        problems.append(LayerProblem(weight=weight, gram=gram, mean=mean, tokens=count, name=name))
    return problems[0], problems[1]


def compare(problem: LayerProblem, unseen: LayerProblem, methods: list[str], patterns: list[str]) -> None:
    """A line a method and pattern."""
    print(f"\n{problem.name}\n{'':26}{'error':>12}{'/optimum':>10}{'held out':>12}{'refitted':>10}{'seconds':>9}")
    for word in patterns:
        pattern = parse_pattern(word)
        for name in methods:
            if pattern.kind in METHODS[name].refuses:
                continue
            start = time.perf_counter()
            found = solve(problem, name, pattern)
            spent = time.perf_counter() - start
            best = optimum_error(problem, found, tolerance=1e-5, iterations=300)
            gap = found.relative_error / best if best else math.nan
            print(f"{word:12}{name:14}{found.relative_error:12.6f}{gap:10.2f}{unseen.relative(unseen.error(found.weight)):12.6f}"
                  f"{found.refitted_rows:10}{spent:9.2f}", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--widths", default="1024,2048")
    options.add_argument("--rows", type=int, default=32)
    options.add_argument("--spectra", default=",".join(SPECTRA))
    options.add_argument("--tokens", default="1,2,10")
    options.add_argument("--methods", default=",".join(name for name in METHODS if name != "obc"))
    options.add_argument("--patterns", default="0.5,0.7,2:4,columns:0.3")
    options.add_argument("--threads", type=int, default=2)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    print(f"float32, {given.threads} threads, torch {torch.__version__}")
    for width in map(int, given.widths.split(",")):
        for spectrum in given.spectra.split(","):
            for tokens in map(int, given.tokens.split(",")):
                compare(*wide_layer(given.rows, width, spectrum, tokens), given.methods.split(","), given.patterns.split(","))


if __name__ == "__main__":
    main()
