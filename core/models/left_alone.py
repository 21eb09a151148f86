"""Matrices of the decoder blocks that no run prunes: convolutions, embeddings, state parameters, layers shared between blocks."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from torch import nn
from transformers.pytorch_utils import Conv1D

_KINDS: tuple[tuple[type[nn.Module], str], ...] = ((nn.Conv1d, "convolution"), (nn.Embedding, "embedding"),
                                                   (nn.Linear, "shared between blocks"), (Conv1D, "shared between blocks"))


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A parameter of a block with at least two dimensions larger than 1: a mixing vector stored [1, 1, d] is a vector."""

    name: str  # "mixer.conv1d.weight"
    shape: tuple[int, ...]
    kind: str  # empty: a parameter of the family's own
    parameters: int

    @property
    def bare(self) -> bool:
        """True if no layer of a kind that torch knows holds it."""
        return not self.kind

    @property
    def stacked(self) -> bool:
        return self.bare and sum(size > 1 for size in self.shape) > 2


Held = tuple[nn.Module, str]  # a module and the name of a parameter of its own


def matrices_left(block: nn.Module, pruned: Collection[Held]) -> Iterator[Matrix]:
    """The matrices of a block beside those of the layers that are pruned."""
    ids = {(id(module), name) for module, name in pruned}
    for path, module in block.named_modules():
        stacked = {len(parameter) for name, parameter in module.named_parameters(recurse=False)
                   if parameter.ndim == 3 and (id(module), name) in ids}
        kind = next((word for known, word in _KINDS if isinstance(module, known)), "")
        for name, parameter in module.named_parameters(recurse=False):
            if (id(module), name) in ids or (parameter.ndim == 2 and len(parameter) in stacked):  # biases of experts
                continue
            if sum(size > 1 for size in parameter.shape) > 1:
                yield Matrix(name=f"{path}.{name}".lstrip("."), shape=tuple(parameter.shape), kind=kind, parameters=parameter.numel())


def sentence(blocks: Sequence[nn.Module], pruned: Sequence[Collection[Held]]) -> str | None:
    """A sentence on the matrices that are left alone, in how many blocks, and their share of the blocks' weights; None: there are none."""
    places: dict[tuple[str, tuple[int, ...], str], int] = defaultdict(int)
    weights = 0
    for block, layers in zip(blocks, pruned, strict=True):
        for item in matrices_left(block, layers):
            places[item.name, item.shape, item.kind] += 1
            weights += item.parameters
    if not places:
        return None
    total = sum(parameter.numel() for block in blocks for parameter in block.parameters())
    told = [f"{name} ({kind + ', ' if kind else ''}{'×'.join(map(str, shape))}; {count} block{'s' * (count > 1)})"
            for (name, shape, kind), count in places.items()]
    more = f" and {len(told) - 8} more" if len(told) > 8 else ""
    return (f"Left as they are, since they are no linear layers of one block: {', '.join(told[:8])}{more}. They hold "
            f"{100 * weights / total:.2g} % of the blocks' weights.")
