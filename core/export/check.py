"""An exported model opened again: its pruned weights are those of the run, and its perplexity is the run's up to rounding."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from core.data.windows import evaluation_windows
from core.evaluate.perplexity import evaluated
from core.export.places import Place
from core.export.weights import is_rounded
from core.models.activations import ActivationRoom
from core.models.blocks import Linear
from core.models.device import choose_device
from core.models.folders import inspect_folder
from core.models.loading import load_skeleton
from core.models.open_model import load_placed
from core.models.placement import Streaming
from core.models.text_reader import text_reader
from core.records import Evaluated, ExportCheck, RunResult
from core.run.evaluation import model_losses
from core.spec.errors import ExportDiffers

TOKENS = 8192  # of the evaluation text that are compared, in whole windows
TOLERANCE = 1e-3  # nats a token: what devices and libraries may differ by where the weights are the same


def check_export(result: RunResult, weights: Mapping[str, Tensor], places: Mapping[str, Place], folder: Path,
                 streaming: Streaming | None = None, limit: int | None = None) -> ExportCheck:
    """Open the model in `folder` as any other and compare it with its run, on the run's first evaluation windows. `streaming` and `limit`
    as in core/models/placement.py.

    Where the perplexities differ by more than the tolerance, the run's own weights are put in place of the stored ones and measured again:
    if that is the run's perplexity, the difference is rounding. Raises ExportDiffers where it is not, and where a stored weight
    is not the run's rounded to its dtype; NotFinite where the export's perplexity is no number.
    """
    spec, device = result.spec, choose_device(result.spec.device)
    source = inspect_folder(spec.model, "folder", folder, at_any_cost=False)
    skeleton = load_skeleton(source)
    count = max(1, TOKENS // result.pruned.length) if result.pruned.losses else result.pruned.windows
    count = min(count, result.pruned.windows)
    windows = evaluation_windows(spec.evaluation.model_copy(update={"windows": count}), text_reader(source, skeleton))
    model, block_map, placement = load_placed(spec, source, skeleton, device, calibration=windows.tokens[:0], evaluation=windows.tokens,
                                              asked=streaming, limit=limit)
    room = ActivationRoom(place=placement.activations, device=device)

    def stored(linears: Sequence[Linear]) -> None:
        for linear in (linear for linear in linears if linear.name in weights):
            _require_stored(linear, weights[linear.name], places[linear.name])

    def measured(prepare: Callable[[Sequence[Linear]], None]) -> Evaluated:
        losses = model_losses(model, block_map, windows, device, name="the exported model", room=room, prepare=prepare)
        return evaluated(losses, windows, model.dtype, model="the exported model")

    expected = statistics.fmean(result.pruned.losses[:count]) if result.pruned.losses else math.log(result.pruned.perplexity)
    found, rounded = measured(stored), is_rounded(weights, places)
    if not _same(found, expected) and (not rounded or not _same(measured(lambda linears: _put(linears, weights)), expected)):
        raise ExportDiffers(spec.model, f"Its perplexity on the first {count} evaluation windows is {found.perplexity:.4f}, the run's "
                            f"own {math.exp(expected):.4f}")
    return ExportCheck(windows=count, perplexity=found.perplexity, run_perplexity=math.exp(expected),
                       difference=found.perplexity - math.exp(expected), rounded=rounded)


def _same(found: Evaluated, expected: float) -> bool:
    """True if the mean loss is the expected one [nats] up to the tolerance."""
    return abs(math.log(found.perplexity) - expected) <= TOLERANCE


def _require_stored(linear: Linear, weight: Tensor, place: Place) -> None:
    """The layer that was opened holds `weight` [out, in] rounded to the checkpoint's dtype."""
    own = linear.weight
    if not torch.equal(own, weight.to(place.dtype).to(own.device, own.dtype)):
        raise ExportDiffers(linear.name, "Its weights are not those of the run, rounded to the checkpoint's dtype")


def _put(linears: Sequence[Linear], weights: Mapping[str, Tensor]) -> None:
    for linear in linears:
        if linear.name in weights:
            linear.write(weights[linear.name])
