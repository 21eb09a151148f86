"""A model with its texts, open on a device: what a run, an evaluation and a session of what-ifs begin with."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from core.data.windows import Windows, calibration_windows, evaluation_windows
from core.models.activations import ActivationRoom
from core.models.block_files import open_blocks, open_layers
from core.models.block_keys import NotInBlocks, keys_by_block
from core.models.blocks import BlockMap, map_blocks
from core.models.device import BATCH_TOKENS, choose_dtype
from core.models.inputs import Inputs, take_inputs
from core.models.loading import load_model, load_skeleton, smaller
from core.models.memory_room import memory_room, require_room
from core.models.placement import Streaming, least_held, model_sizes, place, place_together, streaming
from core.models.sources import ModelSource, resolve_model
from core.models.streaming import Stream
from core.models.text_reader import text_reader
from core.records.plans import Placement
from core.spec import RunSpec


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenModel:
    """A model with its texts as token windows. `block_map` has a reader where the blocks stay in their files."""

    inputs: Inputs
    source: ModelSource
    model: Any
    block_map: BlockMap
    placement: Placement
    calibration: Windows
    evaluation: Windows
    device: torch.device
    further: tuple[Windows, ...] = ()
    all_tokens: bool = False  # to all experts, while their inputs are collected

    @property
    def evaluations(self) -> tuple[Windows, ...]:
        """All evaluation texts, the first one first."""
        return (self.evaluation, *self.further)

    @property
    def room(self) -> ActivationRoom:
        """The place of its activations."""
        return ActivationRoom(place=self.placement.activations, device=self.device)

    @contextmanager
    def streams(self, block_map: BlockMap | None = None) -> Generator[tuple[Stream, ...]]:
        """Streams for windows of the calibration text and of each evaluation text, of all layers or those of `block_map`. One for all that
        have windows of one length where blocks are read from files: each reads all of the model when it is opened."""
        own = block_map or self.block_map
        with ExitStack() as stack:
            found: list[Stream] = []
            for windows in (self.calibration, *self.evaluations):
                probe = windows.tokens[:1]
                same = next((stream for stream in found if stream.length == probe.shape[1]), None) if own.reader is not None else None
                found.append(same or stack.enter_context(Stream(self.model, own, self.device, probe,
                                                                all_tokens=self.all_tokens and not found)))
            yield tuple(found)


def open_model(spec: RunSpec, device: torch.device, asked: Streaming | None = None, limit: int | None = None, *,
               others: Sequence[RunSpec] = ()) -> OpenModel:
    """Open what a spec names; what is on a hub is downloaded. `asked` and `limit` decide what is held in memory (core/models/placement.py).
    `others`: runs on the same model and texts; its `placement` tells how many of them, from the first, share this reading with it.

    Raises BadInput for what is missing or does not fit, InputChanged for what was written meanwhile, OutOfMemory.
    """
    inputs = take_inputs(spec)
    source = resolve_model(spec.model, spec.revision, download=True)
    skeleton = load_skeleton(source)
    _require_room(source, skeleton, choose_dtype(spec, source, device), streaming(asked))
    calibration, evaluation, *further = _texts(spec, source, skeleton)
    model, block_map, placement = load_placed(spec, source, skeleton, device, calibration=calibration.tokens, evaluation=evaluation.tokens,
                                              further=[text.tokens for text in further], asked=asked, limit=limit, others=others)
    inputs.check_read(source)
    return OpenModel(inputs=inputs, source=source, model=model, block_map=block_map, placement=placement, calibration=calibration,
                     evaluation=evaluation, further=tuple(further), device=device, all_tokens=spec.experts == "all")


def open_for_layers(spec: RunSpec, device: torch.device) -> OpenModel:
    """The same for questions about single layers: all weights stay in their files, embeddings and head too; `block_map` has a reader.

    Raises as `open_model`, and NotInBlocks for a checkpoint that has to be loaded whole.
    """
    inputs = take_inputs(spec)
    source = resolve_model(spec.model, spec.revision, download=True)
    dtype = choose_dtype(spec, source, device)
    model, block_map = open_layers(source, dtype)
    calibration, evaluation, *further = _texts(spec, source, model)
    read = calibration.tokens
    sizes = model_sizes(model, block_map, spec, calibration_tokens=read.numel(), dtype=dtype, window=read.shape[1],
                        evaluation_tokens=evaluation.tokens.numel(), read_tokens=logit_tokens(evaluation.tokens))
    inputs.check_read(source)
    return OpenModel(inputs=inputs, source=source, model=model, block_map=block_map, placement=place(sizes, device, asked="always"),
                     calibration=calibration, evaluation=evaluation, further=tuple(further), device=device,
                     all_tokens=spec.experts == "all")


def _texts(spec: RunSpec, source: ModelSource, skeleton: Any) -> tuple[Windows, ...]:
    """The windows of the calibration text, then of each evaluation text."""
    reader = text_reader(source, skeleton)
    calibration = calibration_windows(spec.calibration, reader)
    evaluation, *further = (evaluation_windows(text, reader) for text in (spec.evaluation, *spec.further_evaluations))
    if calibration.sha256 == evaluation.sha256:
        calibration = replace(calibration, description=f"{calibration.description}, the same text as evaluated on")
    return calibration, evaluation, *further


def _require_room(source: ModelSource, skeleton: Any, dtype: torch.dtype, wanted: Streaming) -> None:
    """Raises OutOfMemory for weights that fit in no way, before a text is read, whose tokenizer would end the process."""
    if source.parameters * dtype.itemsize > memory_room():
        whole = wanted == "never" or bool(refusal(source, skeleton))
        require_room(least_held(skeleton, map_blocks(skeleton), dtype, whole=whole), f"loading {source.name}", smaller(source, dtype))


def load_placed(spec: RunSpec, source: ModelSource, skeleton: Any, device: torch.device, *, calibration: Tensor, evaluation: Tensor,
                further: Sequence[Tensor] = (), asked: Streaming | None = None, limit: int | None = None,
                others: Sequence[RunSpec] = ()) -> tuple[Any, BlockMap, Placement]:
    """The model, whole or with its blocks in their files as its size and the memory decide. Windows are int64 [n, L]. `others`: further
    runs that are to share it, as far as the memory allows."""
    texts = (evaluation, *further)
    dtype, wanted = choose_dtype(spec, source, device), streaming(asked)
    block_map = map_blocks(skeleton)
    sizes = [model_sizes(skeleton, block_map, one, calibration_tokens=calibration.numel(), dtype=dtype,
                         evaluation_tokens=sum(text.numel() for text in texts), window=calibration.shape[1],
                         read_tokens=max(map(logit_tokens, texts))) for one in (spec, *others)]
    placement = place_together(sizes, device, asked=wanted, limit=limit)
    if placement.weights == "blocks":
        try:
            return *open_blocks(source, dtype), placement
        except NotInBlocks as error:
            placement = place_together(sizes, device, asked=wanted, limit=limit, refused=str(error))
    model: Any = load_model(source, dtype=dtype)
    return model, map_blocks(model), placement


def refusal(source: ModelSource, skeleton: Any) -> str:
    """The reason why a checkpoint has to be loaded whole, or "". Reads headers only; one that is not here yet is taken to be plain."""
    if not source.bytes:
        return ""
    try:
        keys_by_block(source, skeleton)
    except NotInBlocks as error:
        return str(error)
    return ""


def logit_tokens(evaluation: Tensor) -> int:
    """Tokens of [n, L] whose logits are there at a time."""
    return max(evaluation.shape[1], min(BATCH_TOKENS, evaluation.numel()))


def batches(hidden: Tensor) -> tuple[Tensor, ...]:
    """Views of whole windows, at most BATCH_TOKENS tokens each: the same split every time, so the same bits."""
    return hidden.split(max(1, BATCH_TOKENS // hidden.shape[1]))


def embed(stream: Stream, tokens: Tensor, room: ActivationRoom | None = None) -> Tensor:
    """tokens [n, L] -> the first block's hidden states [n, L, d], in their `room`; by default on the stream's device."""
    room = room or ActivationRoom(place="device", device=stream.device)
    hidden: Tensor | None = None
    start = 0
    for batch in batches(tokens):
        part = stream.embed(batch)
        if hidden is None:
            hidden = room.empty((len(tokens), *part.shape[1:]), part.dtype)
        hidden[start : start + len(part)].copy_(part)
        start += len(part)
    assert hidden is not None, "there is a window"
    return hidden
