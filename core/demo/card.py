# pyright: basic
"""Measure the trained model and write it to disk, with a model card whose numbers are computed."""

import json
import os
import platform
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

CHECK_WINDOWS = 16  # the first windows of each text, scored apart: quick for a test to repeat

CARD = """---
language: en
library_name: transformers
---
# PruneScope's demo model

A LLaMA of {parameters:,} parameters that PruneScope ships so that everything works without a network.
It knows Python documentation and nothing else: use it to look at pruning, not to ask it things.

## Training
* Text: the calibration split of PruneScope's embedded text ({python} standard library) and the
  docstrings of {sources}.
  No paragraph is repeated, and none shares a run of ten words with a held-out text.
* {train_tokens:,} tokens of text, {seen_tokens:,} tokens seen: {steps:,} steps of {batch} windows of {context} tokens.
* Seed {seed}. AdamW, learning rate {learning_rate} with warm-up, falling to zero over the last fifth of the steps,
  bfloat16 autocast on {threads} CPU threads, torch {torch}, transformers {transformers}, tokenizers {tokenizers}.
* Made by `make demo-model`, that is `python -m core.demo.train --steps {steps} --seed {seed} --threads {threads}`.
  No choice in the recipe was made by looking at a pruned model.

## Held-out perplexity
{scores}

Protocol: the text is encoded once without special tokens and cut into consecutive windows of {context} tokens; the last,
incomplete one is dropped. Each window stands alone and its last {scored} tokens are predicted. Perplexity is exp of the
mean negative log-likelihood, computed in float32 with the weights as stored (float16).
`training.json` holds these numbers, the scores of the first {check} windows and the hashes of the texts.

## License
The weights are PruneScope's own, under its license (MIT). No text is part of this folder: the model learned from documentation
under the PSF license (Python) and permissive licenses (BSD, MIT, Apache-2.0: the packages above).
"""


@torch.no_grad()
def perplexity(model: LlamaForCausalLM, windows: torch.Tensor) -> float:
    """exp of the mean negative log-likelihood of all but the first token of each window [N, T]."""
    total = torch.zeros((), dtype=torch.float64)
    for batch in windows.split(8):
        logits = model(input_ids=batch[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="sum")
        total += loss.double()
    return float(torch.exp(total / windows[:, 1:].numel()))


def save_model(
    folder: Path,
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    *,
    held_out: Mapping[str, torch.Tensor],
    training: Mapping[str, object],
) -> None:
    """Write weights (float16), tokenizer, configuration and card, then replace `folder` by them.

    The model is scored after a round trip through float16, as those who load it will see it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".model-") as scratch:
        new = Path(scratch, "new")
        model.half().save_pretrained(new)
        tokenizer.save_pretrained(new)
        model.float()
        record = _record(model, held_out, training)
        (new / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        (new / "README.md").write_text(_card(record), encoding="utf-8")
        for file in new.iterdir():
            file.chmod(0o644)  # safetensors writes files that only the owner can read
        if folder.exists():
            os.rename(folder, Path(scratch, "old"))
        os.rename(new, folder)


def _record(model: LlamaForCausalLM, held_out: Mapping[str, torch.Tensor], training: Mapping[str, object]) -> dict[str, Any]:
    scores = {
        name: {
            "windows": len(windows),
            "perplexity": perplexity(model, windows),
            "first_windows": min(CHECK_WINDOWS, len(windows)),
            "first_windows_perplexity": perplexity(model, windows[:CHECK_WINDOWS]),
        }
        for name, windows in held_out.items()
    }
    versions = {name: metadata.version(name) for name in ("torch", "transformers", "tokenizers")}
    return {
        "parameters": model.num_parameters(),
        **training,
        "held_out": scores,
        "python": f"Python {platform.python_version()}",
        **versions,
    }


def _card(record: dict[str, Any]) -> str:
    rows = ["| held-out text | windows | perplexity |", "|---|---|---|"]
    rows += [f"| {name} | {one['windows']} | {one['perplexity']:.2f} |" for name, one in record["held_out"].items()]
    return CARD.format(
        **{**record, "sources": ", ".join(record["sources"])},
        scores="\n".join(rows),
        scored=record["context"] - 1,
        check=CHECK_WINDOWS,
    )
