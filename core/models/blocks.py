"""Load a causal language model and find its decoder blocks and their linear layers, by structure, never by name.

    load_model(source)  ->  map_blocks(model)  ->  core.stream.Stream(model, block_map, device, probe)
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from core.models.left_alone import matrices_left, sentence
from core.models.linears import Linear, linears_of
from core.spec.errors import PruneError

_WORKS = ("Choose a model whose decoder blocks are all alike and made of linear layers, such as LLaMA, Mistral, Qwen, Gemma, OPT, GPT-2, "
          "GPT-NeoX or Phi.")
_STRAY_SHARE = 0.1  # matrices outside linear layers above this share of a block mean that a whole part of it was missed

__all__ = ["BlockMap", "BlocksNotFound", "Linear", "NotStreamable", "map_blocks", "module_tree", "parameter_count"]


class BlocksNotFound(PruneError):
    """No decoder blocks, or blocks whose weights are not in linear layers. The text shows what the model looks like."""

    def __init__(self, problem: str, tree: str) -> None:
        super().__init__(f"{problem} {_WORKS} Its modules:\n{tree}")
        self.problem, self.tree = problem, tree

    def __reduce__(self) -> tuple[type[BlocksNotFound], tuple[str, str]]:
        return BlocksNotFound, (self.problem, self.tree)


class NotStreamable(PruneError):
    """The blocks do not form a plain chain, so running them one by one would not be what the model does."""

    def __init__(self, problem: str, model: str = "This model") -> None:
        super().__init__(f"{model} cannot be pruned block by block: {problem} {_WORKS}")
        self.problem, self.model = problem, model

    def __reduce__(self) -> tuple[type[NotStreamable], tuple[str, str]]:
        return NotStreamable, (self.problem, self.model)


class BlockReader(Protocol):
    """Reader of the weights of blocks that stay in their files until their turn comes (core/models/block_files.py)."""

    def lend(self, block: int, device: torch.device) -> AbstractContextManager[None]:
        """The block's weights on `device` for the time of the outermost `with`; what was written into them goes with it."""
        ...

    def weight(self, linear: Linear, device: torch.device) -> Tensor:
        """A layer's weight [c, b] on `device`, read by itself."""
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
    all_linears: tuple[tuple[Linear, ...], ...] | None = None  # with those that a run skips, where it does

    @property
    def every(self) -> tuple[tuple[Linear, ...], ...]:
        """All layers, those that a run skips too."""
        return self.all_linears or self.linears

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what of the blocks is left alone."""
        layers = [[(linear.layer, linear.parameter) for linear in linears] for linears in self.every]
        found = sentence(self.blocks, layers)
        return (found,) if found else ()


def parameter_count(model: nn.Module) -> int:
    """All parameters; tied weights count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def map_blocks(model: nn.Module) -> BlockMap:
    """The decoder blocks and their linear layers.

    Blocks: the longest ModuleList with members of one class that all have linear layers of their own, in the decoder where the model
    names one (a text model beside a vision tower). Lists inside another list's members do not count. Each expert of a stack is a layer.
    A linear layer whose weight is used elsewhere too (by another block, by the embeddings or the head) is left out.
    Raises BlocksNotFound where there is none, or where a block keeps matrices outside linear layers.
    """
    owners = Counter(id(module.weight) for _, module in model.named_modules(remove_duplicate=False)
                     if isinstance(getattr(module, "weight", None), Tensor))
    found: list[BlockMap] = []
    outer: list[str] = []
    width = _width(model)
    for path, blocks in _decoder_modules(model):
        if not isinstance(blocks, nn.ModuleList) or any(path.startswith(f"{other}.") for other in outer):
            continue
        outer.append(path)
        linears = tuple(tuple(linears_of(path, index, block, owners, width)) for index, block in enumerate(blocks))
        if all(linears) and len({type(block) for block in blocks}) == 1:
            found.append(BlockMap(path=path, blocks=tuple(blocks), linears=linears))
    if not found:
        raise BlocksNotFound(f"{named(model)} cannot be pruned here: {_no_blocks(model)}", module_tree(model))
    chosen = max(found, key=lambda block_map: (len(block_map.blocks), parameter_count(nn.ModuleList(block_map.blocks))))
    for index, block in enumerate(chosen.blocks):
        _refuse_stray_matrices(f"{chosen.path}.{index}", block, chosen.linears[index], model)
    return chosen


def _decoder_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules of the decoder that a model names, where a list is among them; else all of them."""
    named: Any = getattr(model, "get_decoder", None)
    decoder = named() if callable(named) else model
    inside = {id(module) for module in decoder.modules()} if isinstance(decoder, nn.Module) else set()
    every = list(model.named_modules())
    chosen = [(path, module) for path, module in every if id(module) in inside]
    return iter(chosen if any(isinstance(module, nn.ModuleList) for _, module in chosen) else every)


def named(model: nn.Module) -> str:
    """The model as a person knows it: `MambaForCausalLM (mamba)`."""
    family = getattr(getattr(model, "config", None), "model_type", "")
    return f"{type(model).__name__}{f' ({family})' if family else ''}"


def _no_blocks(model: nn.Module) -> str:
    """Reason why no list of modules is one of decoder blocks."""
    lists = [module for _, module in _decoder_modules(model) if isinstance(module, nn.ModuleList) and len(module)]
    kinds = list(dict.fromkeys(type(block).__name__ for block in max(lists, key=len))) if lists else []
    if len(kinds) > 1:
        return f"its blocks are of different kinds ({', '.join(kinds)})."
    return "it has no list of decoder blocks with linear layers of their own."


def _width(model: nn.Module) -> int:
    """Width of the hidden states, as the embeddings have it; 0 where a module has none."""
    named: Any = getattr(model, "get_input_embeddings", None)
    embeddings = named() if callable(named) else None
    return int(embeddings.weight.shape[1]) if isinstance(embeddings, nn.Embedding) else 0


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


def _refuse_stray_matrices(path: str, block: nn.Module, linears: tuple[Linear, ...], model: nn.Module) -> None:
    """Pruning a model around stacked matrices, or around a whole part of each block, would be a silent omission."""
    found = list(matrices_left(block, [(linear.layer, linear.parameter) for linear in linears]))
    stacked = [item for item in found if item.stacked]
    bare = [item for item in found if item.bare]
    share = sum(item.parameters for item in bare) / parameter_count(block)
    if not stacked and share <= _STRAY_SHARE:
        return
    odd = stacked[0] if stacked else max(bare, key=lambda item: item.parameters)
    how = (f"in a stack of matrices {odd.shape}" if stacked else
           f"as an array {odd.shape}, as it does {share:.0%} of the block's weights")
    raise BlocksNotFound(f"{named(model)} cannot be pruned here: it keeps {path}.{odd.name} {how}, and not in a linear layer. "
                         "Pruning the rest alone would be misleading.", module_tree(model))
