"""Places of weights and activations, decided from sizes and from the memory that there is: before a run in its plan, and when it begins.

    sizes = model_sizes(skeleton, block_map, spec, ...)       # bytes, counted from shapes alone
    place(sizes, device, asked=streaming(), limit=memory_limit())

A model that does not fit into memory twice (while it is loaded, its file is there beside it) stays in its files, and activations that do
not fit beside it go to disk. PRUNESCOPE_STREAMING=always or never decides by hand. The numbers of a run do not depend on any of it.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

import torch
from torch import nn

from core.models.activations import disk_room
from core.models.blocks import BlockMap, parameter_count
from core.models.cost import FISHER_TOKENS, calibration_states
from core.models.device import BATCH_TOKENS
from core.models.expert_grams import expert_grams
from core.models.memory_room import memory_limit
from core.records.plans import Activations, Placement, Weights
from core.spec import RunSpec
from core.spec.errors import BadInput

Streaming = Literal["auto", "always", "never"]
VARIABLE = "PRUNESCOPE_STREAMING"
BASE = 640 << 20  # bytes of Python, torch, transformers and Dask themselves
_SHARE = 0.9  # of the memory that is free, which a plan may fill


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Bytes of a run's parts, in the dtype of its arithmetic. `window`: of the activations of each calibration window; `evaluation`: of
    one model's hidden states of the evaluation texts, which are part of `activations`."""

    model: int
    block: int
    frame: int
    activations: int
    working: int
    window: int
    evaluation: int = 0
    grams: int = 0  # one block's, which are part of `working`


def streaming(asked: Streaming | None = None) -> Streaming:
    """The choice that was made: the argument, else PRUNESCOPE_STREAMING, else "auto". Raises BadInput for another word."""
    word = asked or os.environ.get(VARIABLE) or "auto"
    if word not in get_args(Streaming):
        raise BadInput(VARIABLE, word, "auto, always or never", "Leave it out: a model that does not fit twice is read block by block.")
    return cast("Streaming", word)


def model_sizes(model: nn.Module, block_map: BlockMap, spec: RunSpec, *, calibration_tokens: int, evaluation_tokens: int, window: int,
                read_tokens: int, dtype: torch.dtype) -> Sizes:
    """Sizes of a run from the model's skeleton. `window`: tokens of a calibration window; `read_tokens`: of the evaluation text, whose
    logits are there at a time."""
    embeddings: Any = model.get_input_embeddings()  # pyright: ignore[reportCallIssue]
    vocabulary, hidden = embeddings.weight.shape
    width = dtype.itemsize
    kept = calibration_tokens * calibration_states(spec) + 2 * evaluation_tokens  # hidden states of so many tokens at a time
    if spec.fisher:
        kept = max(kept, len(block_map.blocks) * min(calibration_tokens, FISHER_TOKENS))  # before the run: those before every block
    blocks = [parameter_count(block) for block in block_map.blocks]
    parameters = parameter_count(model)
    layers = [(linear.rows, linear.columns) for linears in block_map.linears for linear in linears]
    experts = expert_grams(block_map)
    return Sizes(model=parameters * width, block=max(blocks) * width, frame=(parameters - sum(blocks)) * width,
                 activations=kept * hidden * width, working=_working(layers, vocabulary, read_tokens) + experts,
                 window=window * hidden * width * calibration_states(spec), evaluation=evaluation_tokens * hidden * width,
                 grams=_grams(layers) + experts)


def shared_sizes(runs: Sequence[Sizes]) -> Sizes:
    """Sizes of runs that share one reading of a model: the dense model goes once through the evaluation texts; the first block's Gram
    matrices stay until all have read them, and so do a block's dense weights."""
    first, *others = runs
    if not others:
        return first
    activations = first.activations + sum(one.activations - one.evaluation for one in others)
    return replace(first, activations=activations, working=max(one.working for one in runs) + first.grams + first.block)


def place_together(runs: Sequence[Sizes], device: torch.device, *, asked: Streaming, limit: int | None, refused: str = "") -> Placement:
    """Place as many of the runs, from the first, as share one reading without moving anything to a slower place than one alone has it;
    at least one. Activations of one that go to disk: as many as the disk takes beside what it keeps free."""
    limit = memory_limit() if limit is None else limit
    found = place(runs[0], device, asked=asked, limit=limit, refused=refused)
    for count in range(2, len(runs) + 1):
        more = place(shared_sizes(runs[:count]), device, asked=asked, limit=limit, refused=refused)
        if (more.weights, more.activations) != (found.weights, found.activations):
            break
        if more.activations == "disk" and more.activation_bytes > disk_room():
            break
        found = more.model_copy(update={"runs": count})
    return found


def _working(layers: Sequence[tuple[int, int]], vocabulary: int, read_tokens: int) -> int:
    """One block's Gram matrices, one solve (three times W and G), and one batch's activations or the logits of `read_tokens`."""
    rows, columns = max(layers, key=lambda shape: shape[0] * shape[1])
    widest = max(columns for _, columns in layers)
    batch = 4 * max(read_tokens * vocabulary, BATCH_TOKENS * 8 * widest)
    return _grams(layers) + 4 * 4 * (rows * columns + columns * columns) + batch


def _grams(layers: Sequence[tuple[int, int]]) -> int:
    """At most four inputs of a block that are not experts', in float32."""
    return 4 * 4 * max(columns for _, columns in layers) ** 2


def least_held(model: nn.Module, block_map: BlockMap, dtype: torch.dtype, *, whole: bool) -> int:
    """Bytes of weights that are in memory at the same time, at the least: all of them, or with the blocks in their files one block and
    what stands outside."""
    blocks = [parameter_count(block) for block in block_map.blocks]
    everything = parameter_count(model)
    return (everything if whole else everything - sum(blocks) + max(blocks)) * dtype.itemsize


def place(sizes: Sizes, device: torch.device, *, asked: Streaming = "auto", limit: int | None = None, refused: str = "") -> Placement:
    """Decide. `limit`: bytes of memory that may be used, by default what is free. `refused`: the reason why this checkpoint cannot be read
    one block at a time."""
    limit = memory_limit() if limit is None else limit
    room = round(limit * _SHARE)
    whole = BASE + max(2 * sizes.model, sizes.model + sizes.activations + sizes.working)
    wanted = asked == "always" or (asked == "auto" and whole > room)
    weights: Weights = "blocks" if wanted and not refused else "memory"
    held = sizes.model if weights == "memory" else sizes.frame + 2 * sizes.block  # a block, and its pruned weights on their way out
    activations: Activations = "host"
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        activations = "device" if sizes.frame + 2 * sizes.block + sizes.activations + sizes.working <= _SHARE * free else "host"
    if activations == "host" and BASE + held + sizes.activations + sizes.working > room:
        activations = "disk"
    return Placement(
        weights=weights, activations=activations, model_bytes=sizes.model, block_bytes=sizes.block, frame_bytes=sizes.frame,
        activation_bytes=sizes.activations, working_bytes=sizes.working, limit_bytes=limit if asked == "auto" else None,
        memory_bytes=_peak(sizes, weights, activations, device),
        note=f"This model cannot be read one block at a time: {refused}" if wanted and refused else None)


def _peak(sizes: Sizes, weights: Weights, activations: Activations, device: torch.device) -> int:
    """Estimated peak. In memory: measured peaks lie within 7 % (vocabularies of 4096 and 32000)."""
    kept = sizes.activations if activations in ("device", "host") else 0
    if weights == "memory":
        return BASE + max(2 * sizes.model, sizes.model + kept + sizes.working)
    return BASE + sizes.frame + 2 * sizes.block + kept + sizes.working
