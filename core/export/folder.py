"""Write a pruned model as an ordinary Hugging Face folder: safetensors, tokenizer, and the run's record beside them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.models.blocks import map_blocks
from core.models.inputs import take_inputs
from core.models.loading import load_model
from core.records import RunResult
from core.run.journal import BlockState
from core.spec.errors import BadInput, InputChanged

RECORD = "prunescope.json"
_PART = ".unfinished"  # of a folder: what a save was writing; one that was ended leaves it behind
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
                   "vocab.json", "vocab.txt", "merges.txt")


class MemoryJournal:
    """A journal that lives as long as this process: the command line's, when it has to write the model at the end."""

    def __init__(self) -> None:
        self.states: dict[int, BlockState] = {}

    def read(self, block: int) -> BlockState | None:
        return self.states.get(block)

    def write(self, block: int, state: BlockState) -> None:
        self.states[block] = state

    @property
    def weights(self) -> dict[str, Tensor]:
        return {name: weight for state in self.states.values() for name, weight in state.weights.items()}


def require_empty(folder: Path) -> None:
    """Raises BadInput for a folder that holds something already, or that cannot be made."""
    if folder.exists() and (not folder.is_dir() or any(entry.name != _PART for entry in folder.iterdir())):
        raise BadInput("save", str(folder), "a folder that is empty or does not exist yet", "Choose another, or empty it.")
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise BadInput("save", str(folder), "a folder that can be made and written", f"{there} cannot be written. Choose another.")


def save_checkpoint(result: RunResult, weights: Mapping[str, Tensor], folder: Path) -> None:
    """The model of `result` with `weights` [out, in] by layer name in place of its own, in the checkpoint's dtype.

    A mask survives any dtype; kept weights are rounded to it. Raises BadInput for a folder that is not empty, InputChanged where the
    dense model is not the one that was pruned.
    """
    require_empty(folder)
    inputs = take_inputs(result.spec, ("model",))
    if inputs.addresses["model"] != result.revisions.model:
        raise InputChanged("model", result.spec.model)
    source = inputs.source
    model: Any = load_model(source, dtype=getattr(torch, source.dtype, torch.float32))
    for linears in map_blocks(model).linears:
        for linear in linears:
            linear.write(weights[linear.name])
    part = folder / _PART
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(part)
    for name in TOKENIZER_FILES:
        if (source.path / name).is_file():
            shutil.copyfile(source.path / name, part / name)
    (part / RECORD).write_text(result.model_dump_json(indent=1))
    inputs.check()
    for file in sorted(part.iterdir(), key=lambda file: file.name == "config.json"):  # last: a folder without it does not load
        file.replace(folder / file.name)
    part.rmdir()
