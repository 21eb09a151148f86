"""Layer errors on tokens that no method has seen, at few and at many calibration tokens a column, and what the damping does to them.

    python -m bench.held_out [--tokens 3,10,40] [--methods …] [--patterns 0.5,0.7,2:4] [--wide] [--data ../shared/data]
    python -m bench.held_out --dampings 0.001,0.003,0.01,0.03,0.1 [--methods sparsegpt,thanos,frontier]

Six layers of the demo and stories260K with the Gram matrices of the dense model: calibration windows from the one text, held out 32,768
tokens of the other, which was evaluated only. Three synthetic ones of other spectra (bench.wide); `--wide` adds three of 2048 inputs.

    own        error on the Gram matrix it was calibrated on, over ADMM-Grad's; geometric mean of the layers
    held out   error of the same weights on the other Gram matrix, over ADMM-Grad's there
    overfit    held out / own error: what the calibration text flatters

With `--dampings` each cell is the held-out error over that at the method's own default. Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import torch

from bench.frontier import REFERENCE, geometric
from bench.protocol import LAYERS, LENGTH, Texts, run_spec
from bench.wide import wide_layer
from core import Calibration, LayerProblem, parse_pattern, solve
from core.data.corpus import join_documents, split_documents
from core.models.grams import collect
from core.models.open_model import open_model
from core.spec import METHODS, Magnitude, Method, Unstructured, make_method

Pair = tuple[LayerProblem, LayerProblem]
SYNTHETIC = (("mild", 96, 160), ("strong", 64, 256), ("power", 64, 384))
WIDE = (("mild", 16, 2048), ("strong", 16, 2048), ("power", 16, 2048))
UNSEEN = 128  # windows of LENGTH tokens


@cache
def dense_layers(model: str, texts: Texts, windows: int, unseen: bool) -> dict[str, LayerProblem]:
    """Every layer with the Gram matrix of that many windows of the calibration text, or of the one that is held out."""
    spec = run_spec(model, texts, Magnitude(), Unstructured(), 0)
    source = spec.calibration.source if not unseen else _other_text(texts) if model == "demo" else spec.evaluation.source
    given = Calibration(source=source, windows=windows, length=LENGTH, seed=0)
    opened = open_model(spec.model_copy(update={"calibration": given}), torch.device("cpu"))
    weights = dict(opened.model.named_parameters())
    return {name: LayerProblem(weight=weights[f"{name}.weight"].detach(), gram=inputs.gram, mean=inputs.mean, tokens=inputs.tokens,
                               name=f"{model} {name.removeprefix('model.')}")
            for block in collect(opened) for inputs in block for name in inputs.layers}


def _other_text(texts: Texts) -> str:
    """The embedded text's evaluation split, as a file that windows can be drawn from."""
    file = texts.scratch / "embedded-evaluation.txt"
    file.write_text(join_documents(split_documents()["evaluation"]))
    return f"text:{file}"


def pairs(texts: Texts, ratio: int, wide: bool) -> list[Pair]:
    """Each layer with `ratio` calibration tokens a column, and with tokens of the other text."""
    found: list[Pair] = []
    for model, name, rows in LAYERS[:6]:
        columns = dense_layers(model, texts, UNSEEN, True)[f"model.{name}"].weight.shape[1]
        both = [dense_layers(model, texts, windows, unseen)[f"model.{name}"]
                for windows, unseen in ((math.ceil(ratio * columns / LENGTH), False), (UNSEEN, True))]
        own, unseen = (LayerProblem(weight=item.weight[:rows], gram=item.gram, mean=item.mean, tokens=item.tokens, name=item.name)
                       for item in both)
        found.append((own, unseen))
    return found + [wide_layer(rows, columns, spectrum, ratio) for spectrum, rows, columns in (*SYNTHETIC, *(WIDE if wide else ()))]


def errors(found: Iterable[Pair], method: Method, word: str) -> list[tuple[float, float]]:
    """(own, held-out) relative error of each layer."""
    solved = ((solve(own, method, parse_pattern(word)), unseen) for own, unseen in found)
    return [(solution.relative_error, unseen.relative(unseen.error(solution.weight))) for solution, unseen in solved]


def compare(found: Sequence[Pair], methods: Sequence[str], word: str) -> None:
    """A line a method: own and held-out error over the reference's, and one over the other."""
    base = errors(found, make_method(REFERENCE), word)
    print(f"{word:12}{'own':>8}{'held out':>10}{'overfit':>9}")
    for name in methods:
        if parse_pattern(word).kind in METHODS[name].refuses:
            continue
        each = errors(found, make_method(name), word)
        own, unseen = (geometric([item[place] / other[place] for item, other in zip(each, base, strict=True)]) for place in (0, 1))
        print(f"{name:12}{own:8.3f}{unseen:10.3f}{geometric([held / own for own, held in each]):9.2f}", flush=True)


def damp(found: Sequence[Pair], methods: Sequence[str], word: str, dampings: Sequence[float]) -> None:
    """A line a method: its held-out error at each λ over that at its default, and the worst layer's."""
    print(f"{word:12}{'default':>8}" + "".join(f"{f'λ = {value:g}':>16}" for value in dampings))
    for name in methods:
        usual = make_method(name)
        if parse_pattern(word).kind in METHODS[name].refuses or not usual.has_damping:
            continue
        base = [held for _, held in errors(found, usual, word)]
        line = f"{name:12}{usual.own_damping:8g}"
        for value in dampings:
            ratios = [held / least for (_, held), least in zip(errors(found, make_method(name, damping=value), word), base, strict=True)]
            line += f"{geometric(ratios):9.3f} ({max(ratios):.2f})"
        print(line, flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=Path("../shared/data"), help="a folder with text/ and models/stories260K")
    options.add_argument("--tokens", default="3,10,40", help="calibration tokens a column")
    options.add_argument("--methods", default=",".join(name for name in METHODS if name != "obc"), help="with commas; obc is slow")
    options.add_argument("--patterns", default="0.5,0.7,2:4")
    options.add_argument("--dampings", default="", help="compare these λ, not the methods")
    options.add_argument("--wide", action="store_true", help="three layers of 2048 inputs besides")
    options.add_argument("--threads", type=int, default=2)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    texts, methods = Texts(data=given.data.resolve()), given.methods.split(",")
    for ratio in map(int, given.tokens.split(",")):
        found = pairs(texts, ratio, given.wide)
        print(f"\n{ratio} tokens a column, {len(found)} layers")
        for word in given.patterns.split(","):
            if given.dampings:
                damp(found, methods, word, [float(value) for value in given.dampings.split(",")])
            else:
                compare(found, methods, word)


if __name__ == "__main__":
    main()
