"""Records of a pass: of a layer, and of the whole run."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import torch
import transformers

from core.layer.optimum import Optimum
from core.layer.solution import LayerSolution
from core.models.blocks import Linear
from core.models.device import device_name
from core.models.open_model import OpenModel
from core.records import BlockReconstruction, Environment, LayerRecord, RemovedShape, RunResult, TextResult
from core.run.progress import Meter
from core.run.revisions import revisions
from core.spec import RunSpec


def layer_record(linear: Linear, solution: LayerSolution, optimum: Optimum, tokens: int) -> LayerRecord:
    """Record of a layer's solution; `optimum`: the least relative error for its mask, `tokens` of calibration it has seen."""
    return LayerRecord(
        name=linear.name, block=linear.block, module=linear.module, shape=(linear.rows, linear.columns),
        counted_sparsity=solution.counted_sparsity, relative_error=solution.relative_error, optimum_error=optimum.error,
        optimum_rows=optimum.rows, optimum_spread=optimum.spread,
        seconds=solution.seconds, damping=solution.damping, dense_rows=len(solution.dense_rows),
        dense_columns=solution.dense_columns, refitted_rows=solution.refitted_rows, tokens=tokens)


def expert_notes(layers: Sequence[LayerRecord], spec: RunSpec) -> tuple[str, ...]:
    """A sentence on layers with fewer calibration tokens than inputs, experts to which the router sends few or none; empty without."""
    few = [layer for layer in layers if layer.tokens < layer.shape[1]]
    if not any(layer.tokens != layers[0].tokens for layer in layers) or not few:
        return ()
    none = [layer for layer in few if not layer.tokens]
    least = min(few, key=lambda layer: layer.tokens)
    became = "stay dense" if spec.experts == "dense" else "were pruned by magnitude"
    return (f"{len(few)} of {len(layers)} layers, of experts, saw fewer calibration tokens than they have inputs, so their Gram matrices "
            f"are singular (fewest: {least.tokens}, {least.name})" + (f"; {len(none)} saw none and {became}" if none else "") +
            ". More calibration windows help.",)


def run_result(spec: RunSpec, opened: OpenModel, meter: Meter, layers: Sequence[LayerRecord], measured: Sequence[TextResult], *,
               resumed: int, reconstruction: Sequence[BlockReconstruction] = (), notes: tuple[str, ...] = (),
               shape: RemovedShape | None = None) -> RunResult:
    """Record of a finished run; its sparsity is counted over all layers. `measured`: one for each evaluation text. `notes`: sentences on
    the model's blocks."""
    weights = sum(record.parameters for record in layers)
    zeros = sum(round(record.counted_sparsity * record.parameters) for record in layers)
    return RunResult(
        spec=spec, revisions=revisions(spec, opened.inputs), dense=measured[0].dense, pruned=measured[0].pruned,
        further_evaluations=tuple(measured[1:]), counted_sparsity=zeros / weights,
        layers=tuple(layers), calibration=opened.calibration.description, seconds=meter.seconds, stages=dict(meter.stages),
        peak_memory_bytes=meter.peak_memory_bytes(), resumed_blocks=resumed,
        reconstruction=tuple(reconstruction), notes=(*opened.source.notes, *notes, *expert_notes(layers, spec)),
        placement=opened.placement, shape=shape, environment=environment_of(opened, meter))


def environment_of(opened: OpenModel, meter: Meter) -> Environment:
    """Environment of what is computed on an open model."""
    return Environment(python=platform.python_version(), torch=str(torch.__version__), transformers=transformers.__version__,
                       device=device_name(opened.device), threads=torch.get_num_threads(), started=meter.started)
