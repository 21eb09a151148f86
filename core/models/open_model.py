"""A model with its texts, open on a device: what a run, an evaluation and a session of what-ifs begin with."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.data.files import Stamp, current, stamp
from core.data.windows import Encode, Windows, calibration_windows, evaluation_windows
from core.models.device import BATCH_TOKENS, choose_dtype
from core.models.folders import model_files
from core.models.inputs import Inputs, take_inputs
from core.models.loading import load_model
from core.models.sources import ModelSource, resolve_model
from core.models.streaming import Stream
from core.models.tokenizing import load_tokenizer
from core.spec import RunSpec
from core.spec.errors import InputChanged

REMEMBERED = range(1 << 16, 1 << 24)  # characters of a text whose tokens a process keeps: each run and each session reads the same two


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenModel:
    """A model with its texts as token windows."""

    inputs: Inputs
    source: ModelSource
    model: Any
    calibration: Windows
    evaluation: Windows
    device: torch.device


def open_model(spec: RunSpec, device: torch.device) -> OpenModel:
    """Load what a spec names; what is on a hub is downloaded.

    Raises BadInput for what is missing or does not fit, InputChanged for what was written meanwhile.
    """
    inputs = take_inputs(spec)
    source = resolve_model(spec.model, spec.revision, download=True)
    model: Any = load_model(source, dtype=choose_dtype(spec, source, device))
    reader = text_reader(source, model)
    calibration = calibration_windows(spec.calibration, *reader)
    evaluation = evaluation_windows(spec.evaluation, *reader)
    if calibration.sha256 == evaluation.sha256:
        calibration = replace(calibration, description=f"{calibration.description}, the same text as evaluated on")
    inputs.check_read(source)
    return OpenModel(inputs=inputs, source=source, model=model, calibration=calibration, evaluation=evaluation, device=device)


def text_reader(source: ModelSource, model: Any) -> tuple[Encode, int, int]:
    """Text to token ids with the tokenizer's own special tokens (loaded when a text is read), context, size of the vocabulary."""

    def encode(text: str) -> list[int] | np.ndarray:
        if len(text) in REMEMBERED:
            # a frozen model has a hash, which type checkers do not see
            return _token_ids(source, tuple(map(stamp, model_files(source))), text)  # pyright: ignore[reportArgumentType]
        if not loaded:
            loaded.append(_tokenizer(source))
        return loaded[0](text, verbose=False)["input_ids"]

    loaded: list[Any] = []
    return encode, source.context, model.get_input_embeddings().weight.shape[0]


@lru_cache(maxsize=4)
def _token_ids(source: ModelSource, files: tuple[Stamp, ...], text: str) -> np.ndarray:
    """The token ids [n] of a long text. `files` stands for the tokenizer's: when they change, the text is read anew. Raises
    InputChanged, and remembers nothing, where they change meanwhile."""
    ids = np.asarray(_tokenizer(source)(text, verbose=False)["input_ids"], dtype=np.int32)
    if any(current(item) != item for item in files):
        raise InputChanged("model", source.name)
    ids.flags.writeable = False
    return ids


def _tokenizer(source: ModelSource) -> Any:
    return load_tokenizer(source)


def batches(hidden: Tensor) -> tuple[Tensor, ...]:
    """Views of whole windows, at most BATCH_TOKENS tokens each: the same split every time, so the same bits."""
    return hidden.split(max(1, BATCH_TOKENS // hidden.shape[1]))


def embed(stream: Stream, tokens: Tensor) -> Tensor:
    """tokens [n, L] -> the first block's hidden states [n, L, d]."""
    return torch.cat([stream.embed(batch) for batch in batches(tokens)])
