"""A model that is measured: loaded whole, once, and of the content that is expected."""
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

import torch

from core.models.device import choose_device, choose_dtype
from core.models.inputs import take_inputs
from core.models.loading import load_model
from core.models.memory_room import memory_room
from core.models.sources import ModelSource, describe_model
from core.spec import RunSpec
from core.spec.errors import BadInput, InputChanged

WITHOUT_FLAGS = ("Leave out --tasks and --speed: pruning, perplexity and --save read it one block at a time. Measure the saved model where "
                 "memory holds it.")


def require_whole(spec: RunSpec, *, pruned: bool, remedy: str = WITHOUT_FLAGS) -> None:
    """Raises BadInput for a model that memory does not hold, before hours are spent on what is measured of it afterwards. `pruned`: its
    pruned weights are there once more."""
    source = describe_model(spec.model, spec.revision)
    needed = source.parameters * choose_dtype(spec, source, choose_device(spec.device)).itemsize * (1 + pruned)
    room = memory_room()
    if needed > room:
        raise BadInput("model", spec.model, f"for zero-shot tasks and speed a model that memory holds whole ({needed / 1e9:.3g} GB, and "
                       f"{room / 1e9:.3g} GB are free for this process)", remedy)


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
