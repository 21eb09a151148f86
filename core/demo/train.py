# pyright: basic
"""Train the demo model: `python -m core.demo.train --steps N --seed S`, which is `make demo-model`.

A small LLaMA learns the documentation in core/demo/text.py with an ordinary recipe (AdamW, warm-up
and cosine, bfloat16 autocast). Nothing in it aims at a pruning method. The same text, steps, seed,
settings and machine give the same weights.

    demo_text -> train_tokenizer -> encode -> train (windows at random places) -> card.save_model
"""

import argparse
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from core.corpus import embedded_text
from core.demo import MODEL
from core.demo.card import perplexity, save_model
from core.demo.text import demo_text
from core.demo.tokens import encode, train_tokenizer, windows_of


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The model's shape and the recipe; the shipped model differs from this in steps and seed only."""

    steps: int
    seed: int = 0
    vocabulary: int = 4096
    hidden: int = 256
    feed_forward: int = 688
    layers: int = 6
    heads: int = 4
    context: int = 512
    batch: int = 8  # windows a step
    learning_rate: float = 1e-3
    warm_up: int = 100
    weight_decay: float = 0.1
    clip: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps: got {self.steps}; at least 1 is needed; the shipped model took 2800")


def new_model(settings: Settings) -> LlamaForCausalLM:
    """An untrained model in float32, its weights decided by the seed."""
    torch.manual_seed(settings.seed)
    config = LlamaConfig(
        vocab_size=settings.vocabulary,
        hidden_size=settings.hidden,
        intermediate_size=settings.feed_forward,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=settings.context,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        # Not stored. In bfloat16 on a CPU this attention trains a quarter faster than the fused kernel.
        attn_implementation="eager",  # pyright: ignore[reportCallIssue]
    )
    return LlamaForCausalLM(config)


def train(
    tokens: torch.Tensor,
    settings: Settings,
    *,
    compiled: bool = False,
    report: Callable[[int, torch.Tensor, LlamaForCausalLM], None] = lambda step, loss, model: None,
) -> LlamaForCausalLM:
    """Minimise the next-token cross-entropy over windows at random places of `tokens` [T]."""
    model = new_model(settings)
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.95), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, settings))
    forward = torch.compile(_loss) if compiled else _loss
    generator = torch.Generator().manual_seed(settings.seed)
    offsets = torch.arange(settings.context + 1)
    for step in range(1, settings.steps + 1):
        starts = torch.randint(len(tokens) - settings.context, (settings.batch, 1), generator=generator)
        windows = tokens[starts + offsets].long()  # [batch, context + 1]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = forward(model, windows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        report(step, loss.detach(), model)
    return model.eval()


def _loss(model: LlamaForCausalLM, windows: torch.Tensor) -> torch.Tensor:
    logits = model(input_ids=windows[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())


def _rate(step: int, settings: Settings) -> float:
    """Linear warm-up, then half a cosine down to a fiftieth."""
    if step < settings.warm_up:
        return (step + 1) / settings.warm_up
    done = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))


def main() -> None:
    """The command line: progress goes to standard output."""
    parser = argparse.ArgumentParser(prog="python -m core.demo.train", description="Train the demo model.")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=MODEL)
    parser.add_argument("--no-compile", action="store_true", help="do not use torch.compile")
    arguments = parser.parse_args()
    settings = Settings(steps=arguments.steps, seed=arguments.seed)
    torch.set_num_threads(arguments.threads)
    compiled = not arguments.no_compile and any(map(shutil.which, ("c++", "g++", "clang++")))
    text = demo_text()
    tokenizer = train_tokenizer(("\n\n".join(document.paragraphs) for document in text.train), settings.vocabulary)
    tokens = encode(tokenizer, text.train)
    held_out = {
        name: windows_of(tokenizer.encode(one, add_special_tokens=False, verbose=False), settings.context)
        for name, one in {"standard library": text.standard_library, "package docstrings": text.docstrings}.items()
    }
    print(f"{len(tokens)} training tokens, {compiled=}", flush=True)
    start, every = time.perf_counter(), max(1, settings.steps // 20)

    def report(step: int, loss: torch.Tensor, model: LlamaForCausalLM) -> None:
        if step % every and step != 20:
            return
        seen = step * settings.batch * settings.context
        speed = seen / (time.perf_counter() - start)
        scores = ", ".join(f"{name} {perplexity(model, windows[:16]):.2f}" for name, windows in held_out.items())
        print(f"step {step}: {seen} tokens seen, {speed:.0f}/s, loss {loss:.3f}, held out: {scores}", flush=True)

    model = train(tokens, settings, compiled=compiled, report=report)
    record = {
        **asdict(settings),
        "threads": arguments.threads,
        "compiled": compiled,
        "train_tokens": len(tokens),
        "seen_tokens": settings.steps * settings.batch * settings.context,
        "text_sha256": {split: embedded_text(split).sha256 for split in ("calibration", "evaluation")},
        "sources": text.sources,
    }
    save_model(arguments.out, model, tokenizer, held_out=held_out, training=record)
    print(f"saved to {arguments.out}; {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
