"""Load a causal language model and find its decoder blocks and their linear layers, by structure, never by name.

    load_model(source)  ->  map_blocks(model)  ->  core.stream.Stream(model, block_map, device, probe)
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from core.models.left_alone import matrices_left, sentence
from core.spec.errors import PruneError

_LOOKED_FOR = "a ModuleList whose members are of one class and hold linear layers (torch Linear or GPT-2's Conv1D) of their own"
_STRAY_SHARE = 0.1  # matrices outside linear layers above this share of a block mean that a whole part of it was missed


class BlocksNotFound(PruneError):
    """No decoder blocks, or blocks whose weights are not in linear layers. The text shows what the model looks like."""

    def __init__(self, problem: str, tree: str) -> None:
        super().__init__(f"{problem} Looked for: {_LOOKED_FOR}. The model is:\n{tree}")
        self.problem, self.tree = problem, tree

    def __reduce__(self) -> tuple[type[BlocksNotFound], tuple[str, str]]:
        return BlocksNotFound, (self.problem, self.tree)


class NotStreamable(PruneError):
    """The blocks do not form a plain chain, so running them one by one would not be what the model does."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"This model cannot be run block by block: {problem} Choose a model whose blocks form a plain chain.")
        self.problem = problem

    def __reduce__(self) -> tuple[type[NotStreamable], tuple[str]]:
        return NotStreamable, (self.problem,)


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear:
    """A linear layer of a block. `layer` is the torch module; its weight may move between devices, so ask anew each time."""

    name: str  # "model.layers.0.self_attn.q_proj"
    module: str  # "self_attn.q_proj"
    block: int
    rows: int  # c, outputs
    columns: int  # b, inputs
    layer: nn.Module

    @property
    def weight(self) -> Tensor:
        """[c, b], a view of the stored weight: writing into it writes into the model."""
        stored = _stored_weight(self.layer)
        return stored.t() if isinstance(self.layer, Conv1D) else stored

    @torch.no_grad()
    def write(self, weight: Tensor) -> None:
        """Put `weight` [c, b], any float dtype and device, in place of the stored one; storage, dtype and device stay."""
        assert weight.shape == (self.rows, self.columns), f"{self.name}: {tuple(weight.shape)} for {(self.rows, self.columns)}"
        self.weight.copy_(weight)

    @contextmanager
    def replaced(self, weight: Tensor) -> Generator[None]:
        """The layer computes with `weight` [c, b] for the time of the `with`; its own storage is put back untouched."""
        parameter: Any = self.layer.weight
        own = parameter.data
        parameter.data = (weight.t() if isinstance(self.layer, Conv1D) else weight).to(own)
        try:
            yield
        finally:
            parameter.data = own


class BlockReader(Protocol):
    """Reader of the weights of blocks that stay in their files until their turn comes (core/models/block_files.py)."""

    def lend(self, block: int, device: torch.device) -> AbstractContextManager[None]:
        """The block's weights on `device` for the time of the outermost `with`; what was written into them goes with it."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockMap:
    """The decoder blocks, and the linear layers of each in the order they are registered.

    `reader` None: the weights are in the model. Else they are on the meta device, but for those that it lends.
    """

    path: str  # "model.layers"
    blocks: tuple[nn.Module, ...]
    linears: tuple[tuple[Linear, ...], ...]
    reader: BlockReader | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what of the blocks is left alone."""
        found = sentence(self.blocks, [[linear.layer for linear in linears] for linears in self.linears])
        return (found,) if found else ()


def parameter_count(model: nn.Module) -> int:
    """All parameters; tied weights count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def map_blocks(model: nn.Module) -> BlockMap:
    """The decoder blocks and their linear layers.

    Blocks: the longest ModuleList with members of one class that all have linear layers of their own. Lists inside another list's
    members (experts) do not count. A linear layer whose weight is used elsewhere too (by another block, by the
    embeddings or the head) is not a block's own and is left out.
    Raises BlocksNotFound where there is none, or where a block keeps matrices outside linear layers (fused experts).
    """
    owners = Counter(id(module.weight) for _, module in model.named_modules(remove_duplicate=False)
                     if isinstance(getattr(module, "weight", None), Tensor))
    found: list[BlockMap] = []
    outer: list[str] = []
    for path, blocks in model.named_modules():
        if not isinstance(blocks, nn.ModuleList) or any(path.startswith(f"{other}.") for other in outer):
            continue
        outer.append(path)
        linears = tuple(tuple(_linears(path, index, block, owners)) for index, block in enumerate(blocks))
        if all(linears) and len({type(block) for block in blocks}) == 1:
            found.append(BlockMap(path=path, blocks=tuple(blocks), linears=linears))
    if not found:
        raise BlocksNotFound("No decoder blocks were found in this model.", module_tree(model))
    chosen = max(found, key=lambda block_map: (len(block_map.blocks), parameter_count(nn.ModuleList(block_map.blocks))))
    for index, block in enumerate(chosen.blocks):
        _refuse_stray_matrices(f"{chosen.path}.{index}", block, chosen.linears[index], model)
    return chosen


def module_tree(model: nn.Module, depth: int = 3, lines: int = 40) -> str:
    """The model as an indented tree; members of a list that are of one class share a line."""

    def walk(module: nn.Module, name: str, level: int) -> Iterator[str]:
        yield f"{'  ' * level}{name}: {type(module).__name__}"
        children = list(module.named_children())
        if level == depth:
            if children:
                yield f"{'  ' * (level + 1)}… {len(children)} inside"
        elif isinstance(module, nn.ModuleList) and len(children) > 1 and len({type(child) for _, child in children}) == 1:
            yield from walk(children[0][1], f"0…{len(children) - 1}", level + 1)
        else:
            for child_name, child in children:
                yield from walk(child, child_name, level + 1)

    text = list(walk(model, "model", 0))
    return "\n".join(text if len(text) <= lines else [*text[:lines], f"… {len(text) - lines} more lines"])


def _linears(path: str, index: int, block: nn.Module, owners: Counter[int]) -> Iterator[Linear]:
    for module, layer in block.named_modules():
        if isinstance(layer, nn.Linear | Conv1D) and owners[id(layer.weight)] == 1:
            rows, columns = layer.weight.shape[::-1] if isinstance(layer, Conv1D) else layer.weight.shape
            yield Linear(name=f"{path}.{index}.{module}", module=module, block=index, rows=rows, columns=columns, layer=layer)


def _refuse_stray_matrices(path: str, block: nn.Module, linears: tuple[Linear, ...], model: nn.Module) -> None:
    """Pruning a model around stacked matrices, or around a whole part of each block, would be a silent omission."""
    found = list(matrices_left(block, [linear.layer for linear in linears]))
    stacked = [item for item in found if item.stacked]
    bare = [item for item in found if item.bare]
    share = sum(item.parameters for item in bare) / parameter_count(block)
    if not stacked and share <= _STRAY_SHARE:
        return
    odd = stacked[0] if stacked else max(bare, key=lambda item: item.parameters)
    what = "its matrices are stacked in one array" if stacked else f"{share:.0%} of the block's weights are stored this way"
    raise BlocksNotFound(f"{path}.{odd.name} {odd.shape} is not a linear layer: {what}. It cannot be pruned here, and "
                         "pruning the rest alone would be misleading.", module_tree(model))


def _stored_weight(layer: nn.Module) -> Tensor:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight.detach()
