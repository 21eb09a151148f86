"""Input statistics of a model's layers: G = XXᵀ and the mean of each distinct input, all that a method needs beside W."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Protocol

import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.linalg.cancellation import check_cancelled
from core.linalg.products import add_product
from core.models.blocks import Linear
from core.models.open_model import OpenModel, batches, embed
from core.models.streaming import Stream


@dataclass(frozen=True, kw_only=True, eq=False)
class InputStatistics:
    """One input of a block, over `tokens` calibration tokens: `gram` G = XXᵀ [b, b] and `mean` [b], float32.

    `layers` are the names of the linear layers that read it: q, k and v share one, gate and up another. `cross` [b, b] is the dense
    model's inputs times these, transposed, where both were collected (core/run/propagation.py). `energies`: the row energies [c] of those
    layers, float32, where they were computed along.
    """

    layers: tuple[str, ...]
    gram: Tensor
    mean: Tensor
    tokens: int
    cross: Tensor | None = None
    energies: tuple[Tensor, ...] | None = None


class GramStore(Protocol):
    """Store of the statistics of a dense model, block by block."""

    def read(self, block: int) -> tuple[InputStatistics, ...] | None:
        """The inputs of a block, or None if they are not there."""
        ...

    def write(self, block: int, inputs: tuple[InputStatistics, ...]) -> None:
        """Keep the inputs of a block; all of them or nothing."""
        ...


class GramFiles(GramStore, Protocol):
    """Store whose inputs can be read one by one, for models that are larger than memory."""

    def read_input(self, block: int, layer: str, *, energies: bool = False) -> InputStatistics | None:
        """The input of a layer, or None if it is not there. `energies`: without the Gram matrix, which is empty then."""
        ...

    def has(self, block: int) -> bool:
        """True if the inputs of a block are there, with the row energies of their layers."""
        ...


@torch.no_grad()
def input_statistics(stream: Stream, block: int, hidden: Tensor, groups: Collection[int], *,
                     push: bool = False, beside: Iterable[Mapping[int, Tensor]] | None = None) -> dict[int, InputStatistics]:
    """The chosen groups of a block, with calibration activations `hidden` [n, L, d] passed through it; `push`: in place.

    `beside` gives the dense model's inputs of the same batches, and the products with these are summed up as well.
    """
    sums: dict[int, tuple[Tensor, Tensor, int]] = {}
    crosses: dict[int, Tensor] = {}
    dense: Mapping[int, Tensor] = {}

    def observe(group: int, inputs: Tensor) -> None:
        if group not in groups:
            return
        wide = inputs.float()
        if group not in sums:
            size = wide.shape[1]
            sums[group] = torch.zeros(size, size, device=wide.device), torch.zeros(size, device=wide.device), 0
        gram, total, tokens = sums[group]
        _add_lower(gram, wide)
        sums[group] = gram, total.add_(wide.sum(0)), tokens + len(wide)
        if group in dense:
            add_product(crosses.setdefault(group, torch.zeros_like(gram)), dense[group].T, wide)

    last = None if push else max(groups, default=None)
    for batch, read in zip(batches(hidden), repeat({}) if beside is None else beside, strict=beside is not None):
        check_cancelled()
        dense = read
        output = stream.observe(block, batch, observe, last=last)
        if push and output is not None:
            batch.copy_(output)
    names = [tuple(linear.name for linear in group) for group in stream.groups(block)]
    found = {group: InputStatistics(layers=names[group], gram=gram.tril_().add_(gram.tril(-1).T), mean=total / tokens, tokens=tokens,
                                    cross=crosses.get(group))
             for group, (gram, total, tokens) in sums.items()}
    return {group: found.get(group) or _unseen(stream.groups(block)[group][0], names[group], hidden.device) for group in groups}


def _unseen(linear: Linear, names: tuple[str, ...], device: torch.device) -> InputStatistics:
    """Statistics of an expert to which the router sent no token: G = I, with which every method prunes by magnitude."""
    return InputStatistics(layers=names, gram=torch.eye(linear.columns, device=device), mean=torch.zeros(linear.columns, device=device),
                           tokens=0)


def _add_lower(gram: Tensor, inputs: Tensor) -> None:
    """G += XᵀX for inputs X [tokens, b], the lower triangle in four panels of columns: 5/8 of the products of all of it."""
    width = -(-len(gram) // 4)
    turned = inputs.T.contiguous()
    for start in range(0, len(gram), width):
        add_product(gram[start:, start : start + width], turned[start:], turned[start : start + width].T)


@torch.no_grad()
def collect(opened: OpenModel, store: GramStore | None = None) -> Iterator[tuple[InputStatistics, ...]]:
    """The statistics of the dense model's inputs, block by block, on the CPU; from `store` what it has, into it what it lacks.

    One forward pass of the calibration windows, from the first missing block's predecessors on. Raises InputChanged, and writes
    nothing, where model or text have changed since they were opened.
    """
    block_map = opened.block_map
    blocks = len(block_map.blocks)
    kept = [store.read(block) if store else None for block in range(blocks)]
    if all(inputs is not None for inputs in kept):
        yield from (inputs for inputs in kept if inputs is not None)
        return
    last = max(block for block, inputs in enumerate(kept) if inputs is None)
    with Stream(opened.model, block_map, opened.device, opened.calibration.tokens[:1], all_tokens=opened.all_tokens) as stream:
        hidden = embed(stream, opened.calibration.tokens)
        for block, known in enumerate(kept):
            wanted = () if known is not None else range(len(stream.groups(block)))
            with stream.on_device(block):
                found = input_statistics(stream, block, hidden, wanted, push=True) if block <= last else {}
            inputs = known or tuple(_on_cpu(item) for _, item in sorted(found.items()))
            if known is None and store:
                opened.inputs.check()
                store.write(block, inputs)
            yield inputs


@torch.no_grad()
def collect_missing(opened: OpenModel, files: GramFiles) -> Iterator[int]:
    """Collect what `files` lack of the dense model's statistics, with the row energies of every layer; yields each block that is done.

    One block's Gram matrices are in memory at a time. Raises InputChanged as `collect`.
    """
    missing = [block for block in range(len(opened.block_map.blocks)) if not files.has(block)]
    if not missing:
        return
    probe = opened.calibration.tokens[:1]
    with Stream(opened.model, opened.block_map, opened.device, probe, all_tokens=opened.all_tokens) as stream:
        hidden = embed(stream, opened.calibration.tokens, opened.room)
        for block in range(missing[-1] + 1):
            wanted = range(len(stream.groups(block))) if block in missing else ()
            with stream.on_device(block):
                found = input_statistics(stream, block, hidden, wanted, push=True)
                linears = {linear.name: linear for linear in opened.block_map.linears[block]}
                inputs = [replace(item, energies=_energies(item, linears)) for _, item in sorted(found.items())]
            del found
            opened.inputs.check()
            if inputs:
                files.write(block, tuple(map(_on_cpu, inputs)))
            yield block


def _energies(inputs: InputStatistics, linears: Mapping[str, Linear]) -> tuple[Tensor, ...]:
    return tuple(LayerProblem(weight=linears[name].weight, gram=inputs.gram, tokens=inputs.tokens, name=name).row_energy().cpu()
                 for name in inputs.layers)


def _on_cpu(inputs: InputStatistics) -> InputStatistics:
    return replace(inputs, gram=inputs.gram.cpu(), mean=inputs.mean.cpu())
