# pyright: basic
"""Train the demo model: `python -m core.demo.train --steps N --seed S`, which is `make demo-model`.

A small LLaMA learns the documentation in core/demo/text.py with an ordinary recipe (AdamW, bfloat16
autocast). Nothing in it aims at a pruning method. The same text, steps, seed, threads, versions and
machine give the same weights. The learning rate is constant until the last fifth of the steps and then falls
to zero: so a run can be told late how long it is (`--minutes`), and `--steps` repeats it exactly.

    demo_text -> train_tokenizer -> encode -> train (windows at random places) -> card.save_model
"""

import argparse
import itertools
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from core.data.corpus import embedded_text
from core.demo import MODEL
from core.demo.card import perplexity, save_model
from core.demo.text import demo_text
from core.demo.tokens import encode, train_tokenizer, windows_of

LONGEST = 10**7  # steps, when only the time is limited
REPORT_EVERY = 200


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
            raise ValueError(f"steps: got {self.steps}; at least 1 is needed; the shipped model's card names its number")


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Result of `train`: `Settings(steps=steps)` makes the same model again."""

    model: LlamaForCausalLM
    steps: int


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
    enough: Callable[[], bool] = lambda: False,
    report: Callable[[int, torch.Tensor, LlamaForCausalLM], None] = lambda step, loss, model: None,
) -> Trained:
    """Minimize the next-token cross-entropy over windows at random places of `tokens` [T].

    Once `enough` returns true the run goes on for a quarter of the steps made so far, while the learning
    rate falls, as if `settings.steps` had been that number from the start.
    """
    model = new_model(settings)
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.95), fused=True)
    forward = torch.compile(_loss) if compiled else _loss
    generator = torch.Generator().manual_seed(settings.seed)
    offsets = torch.arange(settings.context + 1)
    steps = settings.steps
    for done in itertools.count():
        if done and done % 4 == 0 and done < steps * 4 // 5 and enough():
            steps = done * 5 // 4
        if done == steps:
            return Trained(model=model.eval(), steps=steps)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _rate(done, steps, settings.warm_up)
        starts = torch.randint(len(tokens) - settings.context, (settings.batch, 1), generator=generator)
        windows = tokens[starts + offsets].long()  # [batch, context + 1]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = forward(model, windows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        report(done + 1, loss.detach(), model)
    raise AssertionError("the loop ends by returning")


def _loss(model: LlamaForCausalLM, windows: torch.Tensor) -> torch.Tensor:
    logits = model(input_ids=windows[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())


def _rate(done: int, steps: int, warm_up: int) -> float:
    """Linear warm-up, constant, and linear to zero over the last fifth."""
    falling = steps * 4 // 5
    if done < falling:
        return min(1.0, (done + 1) / warm_up)
    return (steps - done) / (steps - falling + 1)


def main() -> None:
    """The command line: progress goes to standard output."""
    parser = argparse.ArgumentParser(prog="python -m core.demo.train", description="Train the demo model.")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int)
    length.add_argument("--minutes", type=float, help="as many steps as fit; the card says how many they were")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=MODEL)
    parser.add_argument("--no-compile", action="store_true", help="do not use torch.compile")
    arguments = parser.parse_args()
    minutes = arguments.minutes or math.inf
    settings = Settings(steps=arguments.steps or LONGEST, seed=arguments.seed)
    torch.set_num_threads(arguments.threads)
    # Else compiled code adds up the embedding's gradient in the order in which threads arrive.
    torch.use_deterministic_algorithms(True)
    compiled = not arguments.no_compile and any(map(shutil.which, ("c++", "g++", "clang++")))
    text = demo_text()
    tokenizer = train_tokenizer(("\n\n".join(document.paragraphs) for document in text.train), settings.vocabulary)
    tokens = encode(tokenizer, text.train)
    held_out = {
        name: windows_of(tokenizer.encode(one, add_special_tokens=False, verbose=False), settings.context)
        for name, one in {"standard library": text.standard_library, "package docstrings": text.docstrings}.items()
    }
    print(f"{len(tokens)} training tokens, {compiled=}", flush=True)
    start = time.perf_counter()

    def enough() -> bool:
        return time.perf_counter() - start > 0.8 * 60 * minutes

    def report(step: int, loss: torch.Tensor, model: LlamaForCausalLM) -> None:
        if step % REPORT_EVERY:
            return
        seen = step * settings.batch * settings.context
        speed = seen / (time.perf_counter() - start)
        scores = ", ".join(f"{name} {perplexity(model, windows[:16]):.2f}" for name, windows in held_out.items())
        print(f"step {step}: {seen} tokens seen, {speed:.0f}/s, loss {loss:.3f}, held out: {scores}", flush=True)

    trained = train(tokens, settings, compiled=compiled, enough=enough, report=report)
    record = {
        **asdict(replace(settings, steps=trained.steps)),
        "threads": arguments.threads,
        "compiled": compiled,
        "train_tokens": len(tokens),
        "seen_tokens": trained.steps * settings.batch * settings.context,
        "text_sha256": {split: embedded_text(split).sha256 for split in ("calibration", "evaluation")},
        "sources": text.sources,
    }
    save_model(arguments.out, trained.model, tokenizer, held_out=held_out, training=record)
    print(f"saved to {arguments.out}; {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
