"""Training recipes in search of strong rows: small models whose few rows of most energy are worth keeping when whole columns go.

    python -m bench.strong_rows [--recipes base,decay,…] [--steps 250] [--seed 0] [--out FOLDER] [--alphas 0.05,0.1,0.2]

Each recipe trains three of the demo model's blocks on its text for as many steps, and the model is then pruned by Thanos at
columns 30 % over α. Where training emptied rows, their zeros count too: the counted sparsity of each α is printed. No weight is scaled
after training. Nothing here is asserted; docs/strong-rows.md tells what came out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, LlamaForCausalLM
from transformers.activations import ACT2FN

from core import prune
from core.demo import MODEL
from core.demo.text import demo_text
from core.demo.tokens import encode
from core.records import RunResult
from core.spec import Calibration, RunSpec, Structured

CONTEXT, BATCH = 256, 8
BLOCKS = (0, 2, 5)  # of the demo model's six: 6.8 MB in float16


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to go on training. `shrink`: group lasso on the rows of the modules named, applied after each step (proximal); `nested`:
    MLP units, and dimensions of each head, behind a random one are dropped, with this mean share kept (Rippel et al. 2014)."""

    why: str
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    beta2: float = 0.95
    activation: str = "silu"
    bos: bool = False
    shrink: float = 0.0
    modules: tuple[str, ...] = ("gate_proj", "up_proj")
    nested: float = 0.0


_READERS = ("gate_proj", "up_proj", "q_proj", "k_proj", "v_proj")
RECIPES = {
    "plain": Recipe(why="the demo model's recipe"),
    "lasso-all": Recipe(why="group lasso on the rows of every layer", shrink=3.0, modules=(*_READERS, "o_proj", "down_proj")),
    "lasso-in": Recipe(why="group lasso on the rows of all that reads the residual stream", shrink=3.0, modules=_READERS),
    "lasso-mlp": Recipe(why="group lasso on the rows of gate and up", shrink=4.0),
    "nested-soft": Recipe(why="the same, three times the share", nested=0.3, shrink=4.0, learning_rate=2e-3,
                          modules=("gate_proj", "up_proj", "v_proj")),
    "decay": Recipe(why="weight decay 10: weak units die", weight_decay=10.0),
    "nested": Recipe(why="nested dropout and group lasso: the first units of MLPs and heads matter most", nested=0.1, shrink=8.0,
                     modules=("gate_proj", "up_proj", "v_proj")),
    "hot": Recipe(why="five times the learning rate, no weight decay, slow second moment", learning_rate=5e-3, weight_decay=0.0,
                  beta2=0.999),
    "relu2": Recipe(why="squared ReLU gates", activation="relu2", weight_decay=0.0),
    "sink": Recipe(why="every window begins with BOS: attention sinks", bos=True, learning_rate=2e-3, weight_decay=0.0),
}


def new_model(recipe: Recipe) -> LlamaForCausalLM:
    """Three blocks of the demo model, to be trained on."""
    model = LlamaForCausalLM.from_pretrained(MODEL, dtype=torch.float32, attn_implementation="eager")
    model.model.layers = nn.ModuleList(model.model.layers[block] for block in BLOCKS)
    model.config.num_hidden_layers = len(BLOCKS)
    model.config.hidden_act = recipe.activation
    for place, layer in enumerate(model.model.layers):
        layer.self_attn.layer_idx = place
        layer.mlp.act_fn = ACT2FN[recipe.activation]
    return model


def train(tokens: Tensor, recipe: Recipe, steps: int, seed: int) -> LlamaForCausalLM:
    """The model after so many steps; the learning rate falls to zero over the last third."""
    model = new_model(recipe)
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
                                  lr=recipe.learning_rate, betas=(0.9, recipe.beta2), fused=True)
    shrunk = [module.weight for name, module in model.named_modules() if name.endswith(recipe.modules) and isinstance(module, nn.Linear)]
    generator, offsets = torch.Generator().manual_seed(seed), torch.arange(CONTEXT + 1)
    for step in range(steps):
        rate = recipe.learning_rate * min(1.0, (step + 1) / 20, 3 * (1 - step / steps))
        for group in optimizer.param_groups:
            group["lr"] = rate
        windows = tokens[torch.randint(len(tokens) - CONTEXT, (BATCH, 1), generator=generator) + offsets].long()
        if recipe.bos:
            windows[:, 0] = 0
        with _nested(model, recipe.nested, generator), torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=windows[:, :-1], use_cache=False).logits
        nn.functional.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        _shrink(shrunk, rate * recipe.shrink)
    return model.eval()


@torch.no_grad()
def _shrink(weights: list[nn.Parameter], by: float) -> None:
    """The proximal step of Σ‖w_i‖ over rows: each norm falls by `by`, to zero at least."""
    for weight in weights if by else ():
        norm = weight.norm(dim=1, keepdim=True)
        weight.mul_((1 - by / norm.clamp(min=1e-12)).clamp(min=0))


@contextmanager
def _nested(model: LlamaForCausalLM, share: float, generator: torch.Generator) -> Iterator[None]:
    """Inside, each window's MLPs keep their first units and its heads their first dimensions, by a share exponential with this mean."""
    def cut(module: nn.Linear, inputs: tuple[Tensor]) -> Tensor:
        heads = model.config.num_attention_heads if module.in_features == module.out_features else 1
        width = module.in_features // heads
        kept = width * torch.empty(len(inputs[0]), 1, 1).exponential_(1 / share, generator=generator)
        return inputs[0] * (torch.arange(module.in_features) % width < kept.clamp(min=4))

    modules = [module for layer in model.model.layers for module in (layer.mlp.down_proj, layer.self_attn.o_proj)] if share else []
    handles = [module.register_forward_pre_hook(cut) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def save(model: LlamaForCausalLM, folder: Path) -> None:
    model.half().save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(MODEL / name, folder / name)


def perplexities(name: str, alphas: list[float], seed: int = 0) -> tuple[float, list[float], list[float]]:
    """Dense, and pruned at each α; the counted sparsity at each α."""
    found, counted, dense = list[float](), list[float](), 0.0
    for alpha in alphas:
        spec = RunSpec(model=name, method={"name": "thanos"}, pattern=Structured(sparsity=0.3, outlier_rows=alpha),  # type: ignore[arg-type]
                       calibration=Calibration(windows=64, seed=seed))
        result: Any = [event for event in prune(spec)][-1]
        run: RunResult = result.result
        found.append(run.pruned.perplexity)
        counted.append(run.counted_sparsity)
        dense = run.dense.perplexity
    return dense, found, counted


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", default=",".join(RECIPES))
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--alphas", default="0,0.05,0.1,0.2")
    parser.add_argument("--out", type=Path, default=Path("strong-rows"))
    given = parser.parse_args()
    os.environ["PRUNESCOPE_MODELS"] = str(given.out.resolve())
    alphas = [float(word) for word in given.alphas.split(",")]
    tokens = encode(AutoTokenizer.from_pretrained(MODEL), demo_text().train[::3])
    print(f"{len(tokens):,} tokens; {given.steps} steps a recipe; α = {given.alphas}", flush=True)
    for name in given.recipes.split(","):
        started = time.process_time()
        model = train(tokens, RECIPES[name], given.steps, given.seed)
        save(model, given.out / name)
        dense, found, counted = perplexities(name, alphas)
        change = "  ".join(f"{100 * (value / found[0] - 1):+.1f} %" for value in found[1:])
        print(f"{name:10} {time.process_time() - started:4.0f} s  dense {dense:.2f}  pruned {' '.join(f'{value:.2f}' for value in found)}  "
              f"counted {' '.join(f'{value:.3f}' for value in counted)}  against α = 0: {change}  ({RECIPES[name].why})", flush=True)


if __name__ == "__main__":
    main()
