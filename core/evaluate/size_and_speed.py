"""Size and speed of a model together: it is loaded once."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from core.evaluate.measured_model import load_measured
from core.evaluate.size import model_sizes, smaller_sizes
from core.evaluate.speed import Report, Workload, fitting, measure_model
from core.models.block_keys import bytes_of_blocks
from core.models.device import choose_device
from core.models.shrinking import shrunk
from core.models.sources import resolve_model
from core.records.shapes import RemovedShape
from core.records.size_speed import Sizes, Speed
from core.spec import RunSpec


def size_and_speed(spec: RunSpec, weights: Mapping[str, Tensor] | None = None, workload: Workload | None = None,
                   report: Report = lambda words, share: None, *, shape: RemovedShape | None = None,
                   expected: str | None = None) -> tuple[Sizes, Speed]:
    """Bytes and throughput of a spec's dense model, or with `weights` [out, in] by layer name of the pruned one beside it.

    `shape`: the pruned model lacks this. Holds one model, and the pruned layers once more. Uses model, revision, device and dtype of the
    spec; bytes are those of the checkpoint's dtype, in which it is exported. `workload` None: the usual one, shortened to the model's
    context. `expected`: content address of the model. Raises BadInput for a workload or a model that cannot be used, InputChanged,
    Cancelled.
    """
    device = choose_device(spec.device)
    source = resolve_model(spec.model, spec.revision, download=True)
    asked = workload or fitting(Workload(), source.context)
    asked.check(source.context)
    report("Loading the model", 0.0)
    source, model = load_measured(spec, device, expected)
    stored = getattr(torch, source.dtype, torch.float32)
    if shape is not None:
        small = shrunk(model, shape, weights)
        left = source.bytes - shape.removed * stored.itemsize if shape.gone else bytes_of_blocks(source, shape.kept(source.blocks))
        sizes = smaller_sizes(model, small, shape, stored, folder_bytes=left)
        return sizes, measure_model(model, None, asked, device, report, smaller=small)
    sizes = model_sizes(model, weights, stored, dense_bytes=source.bytes)
    return sizes, measure_model(model, weights, asked, device, report)
