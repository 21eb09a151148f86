"""A model that is measured: loaded whole, once, and of the content that is expected."""
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

import torch

from core.models.device import choose_dtype
from core.models.inputs import take_inputs
from core.models.loading import load_model
from core.models.sources import ModelSource
from core.spec import RunSpec
from core.spec.errors import InputChanged


def load_measured(spec: RunSpec, device: torch.device, expected: str | None = None) -> tuple[ModelSource, Any]:
    """A spec's dense model on a device, with its source. `expected`: the content address that its numbers will stand beside.

    Raises InputChanged where the model is another one now, or is written while it is loaded; later changes do not reach it.
    """
    inputs = take_inputs(spec, ("model",))
    if expected is not None and inputs.addresses["model"] != expected:
        raise InputChanged("model", spec.model)
    model: Any = load_model(inputs.source, dtype=choose_dtype(spec, inputs.source, device))
    inputs.check()
    return inputs.source, model.to(device)
