"""What quality is measured on: fixed layers, and whole models with texts of their own, held out from calibration."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from bench.layers import layer
from bench.wide import wide_layer
from cache.keys import dense_key, run_key
from core import Calibration, Evaluation, LayerProblem, RunSpec, prune
from core.models.grams import collect
from core.models.open_model import open_model
from core.records import Evaluated, Finished, RunResult
from core.run.revisions import revisions
from core.spec import Magnitude, Method, Pattern, Unstructured

LAYERS = (  # (model, layer, rows); a model's layers with the Gram matrix of the dense model
    ("demo", "layers.0.self_attn.q_proj", 96), ("demo", "layers.2.self_attn.o_proj", 96), ("demo", "layers.3.mlp.gate_proj", 96),
    ("demo", "layers.4.mlp.down_proj", 96), ("stories260K", "layers.2.mlp.up_proj", 172), ("stories260K", "layers.3.mlp.down_proj", 64),
    ("synthetic", "96×160", 96), ("synthetic", "64×96", 64), ("synthetic", "128×256", 128), ("synthetic", "64×384", 64),
    ("white", "64×256", 64),
)
SEEDS = (0, 1, 2)
LENGTH, WINDOWS = 256, 128


@dataclass(frozen=True)
class Texts:
    """TinyStories for stories260K: the first 500 stories calibrate, the last 200 evaluate."""

    data: Path = Path("../shared/data")
    scratch: Path = Path(tempfile.gettempdir())

    def split(self) -> tuple[str, str]:
        stories = json.loads((self.data / "text" / "tinystories_700.json").read_text())
        files = self.scratch / "stories-calibration.json", self.scratch / "stories-evaluation.json"
        for file, part in zip(files, (stories[:500], stories[500:]), strict=True):
            file.write_text(json.dumps(part))
        return f"text:{files[0]}", f"text:{files[1]}"


def run_spec(model: str, texts: Texts, method: Method, pattern: Pattern, seed: int, **options: object) -> RunSpec:
    """128 calibration windows of 256 tokens drawn by the seed; evaluated on all held-out stories, or 128 windows of the demo's text."""
    os.environ.setdefault("PRUNESCOPE_MODELS", str(texts.data / "models"))
    sources: tuple[str, str] = ("embedded", "embedded") if model == "demo" else texts.split()
    return RunSpec.model_validate({
        "model": model, "method": method, "pattern": pattern, **options,
        "calibration": Calibration(source=sources[0], windows=WINDOWS, length=LENGTH, seed=seed),
        "evaluation": Evaluation(source=sources[1], windows=128 if model == "demo" else None, length=LENGTH)})


@cache
def dense_layers(model: str, texts: Texts) -> dict[str, LayerProblem]:
    """Every layer of a model with its Gram matrix, seed 0."""
    opened = open_model(run_spec(model, texts, Magnitude(), Unstructured(), 0), torch.device("cpu"))
    weights = dict(opened.model.named_parameters())
    found: dict[str, LayerProblem] = {}
    for inputs in (item for block in collect(opened) for item in block):
        for name in inputs.layers:
            found[name] = LayerProblem(weight=weights[f"{name}.weight"].detach(), gram=inputs.gram, mean=inputs.mean,
                                       tokens=inputs.tokens, name=f"{model} {name.removeprefix('model.')}")
    return found


def fixed_layers(texts: Texts) -> list[LayerProblem]:
    """The eleven of LAYERS; the last has white inputs."""
    found: list[LayerProblem] = []
    for model, name, rows in LAYERS:
        if model == "white":
            found.append(wide_layer(rows, int(name.split("×")[1]), "white", 8)[0])
        elif model == "synthetic":
            columns = int(name.split("×")[1])
            made = layer(rows, columns)
            found.append(LayerProblem(weight=made.weight, gram=made.gram, mean=made.mean, tokens=made.tokens, name=f"synthetic {name}"))
        else:
            whole = dense_layers(model, texts)[f"model.{name}"]
            found.append(LayerProblem(weight=whole.weight[:rows], gram=whole.gram, mean=whole.mean, tokens=whole.tokens, name=whole.name))
    return found



def perplexity(spec: RunSpec, kept: Path | None = None) -> RunResult:
    """A run, taken from the folder `kept` where it was computed there before from the same inputs by the same version."""
    found = revisions(spec)
    file = kept / f"{run_key(spec, found)}.json" if kept else None
    if file is not None and file.exists():
        return RunResult.model_validate_json(file.read_text())
    same = dense_key(spec, found)
    *_, last = prune(spec, dense=_dense.get(same), expected=found)
    assert isinstance(last, Finished)
    _dense[same] = last.result.dense
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(last.result.model_dump_json())
    return last.result


_dense: dict[str, Evaluated] = {}


def mean_and_spread(values: list[float]) -> str:
    """The mean, and half the distance between the least and the greatest."""
    return f"{statistics.mean(values):.2f} ± {(max(values) - min(values)) / 2:.2f}"
