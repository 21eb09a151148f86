"""A model with its texts, open on a device: what a run, an evaluation and a session of what-ifs begin with."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from core.data.windows import Windows, calibration_windows, evaluation_windows
from core.models.device import BATCH_TOKENS, choose_dtype
from core.models.inputs import Inputs, take_inputs
from core.models.loading import load_model
from core.models.sources import ModelSource, resolve_model
from core.models.streaming import Stream
from core.models.text_reader import text_reader
from core.spec import RunSpec


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
    calibration = calibration_windows(spec.calibration, reader)
    evaluation = evaluation_windows(spec.evaluation, reader)
    if calibration.sha256 == evaluation.sha256:
        calibration = replace(calibration, description=f"{calibration.description}, the same text as evaluated on")
    inputs.check_read(source)
    return OpenModel(inputs=inputs, source=source, model=model, calibration=calibration, evaluation=evaluation, device=device)


def batches(hidden: Tensor) -> tuple[Tensor, ...]:
    """Views of whole windows, at most BATCH_TOKENS tokens each: the same split every time, so the same bits."""
    return hidden.split(max(1, BATCH_TOKENS // hidden.shape[1]))


def embed(stream: Stream, tokens: Tensor) -> Tensor:
    """tokens [n, L] -> the first block's hidden states [n, L, d]."""
    return torch.cat([stream.embed(batch) for batch in batches(tokens)])
