"""The layers of an open model as problems: each with its weight and the Gram matrix of its input, of the dense model."""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from threading import Lock

import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.models.blocks import BlockReader, Linear
from core.models.grams import GramFiles, GramStore, InputStatistics, collect
from core.models.open_model import OpenModel
from core.spec.errors import PruneError

_COPIES = 3  # of a Gram matrix, with the factors that methods keep of it


class NotCollected(PruneError):
    """The Gram matrices of a model that stays in its files have not been collected, or not of this block."""

    def __init__(self, layer: str) -> None:
        super().__init__(f"{layer}: the Gram matrix of its input has not been collected. This model is larger than what is held in memory: "
                         "collect its Gram matrices first (a button on Layers, Masks and Outlier rows).")
        self.layer = layer

    def __reduce__(self) -> tuple[type[NotCollected], tuple[str]]:
        return NotCollected, (self.layer,)


def layer_problems(opened: OpenModel, linears: Mapping[str, Linear], store: GramStore | None) -> dict[str, LayerProblem]:
    """Every layer of `linears`, in their order, on the model's device; layers that read one input share its Gram matrix and its factors.

    `store` gives Gram matrices that were collected before, and keeps new ones.
    """
    found: dict[str, LayerProblem] = {}
    for inputs in collect(opened, store):
        for item in inputs:
            gram, mean = item.gram.to(opened.device), item.mean.to(opened.device)
            shared: LayerProblem | None = None
            for name in item.layers:
                weight = linears[name].weight.to(opened.device)
                shared = shared.with_weight(weight, name) if shared else LayerProblem(
                    weight=weight, gram=gram, mean=mean, tokens=item.tokens, name=name)
                found[name] = shared
    return {name: found[name] for name in linears}


class StoredProblems(Mapping[str, LayerProblem]):
    """The same, each made when it is asked for: its weight from the model's files, its Gram matrix from `files`. Those asked for last are
    kept, of at most `room` bytes together. Any number of threads. Raises NotCollected."""

    def __init__(self, linears: Mapping[str, Linear], reader: BlockReader, files: GramFiles, device: torch.device, room: int) -> None:
        self._linears, self._reader, self._files, self._device, self._room = linears, reader, files, device, room
        self._kept: OrderedDict[str, LayerProblem] = OrderedDict()
        self._guard = Lock()

    def __getitem__(self, name: str) -> LayerProblem:
        with self._guard:
            if name not in self._kept:
                self._kept[name] = self._made(name)
            self._kept.move_to_end(name)
            found = self._kept[name]
            while len(self._kept) > 1 and self._bytes() > self._room:
                self._kept.popitem(last=False)
            return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._linears)

    def __len__(self) -> int:
        return len(self._linears)

    def __contains__(self, name: object) -> bool:
        return name in self._linears

    def row_energy(self, name: str) -> Tensor:
        """h_i [c] of a layer, without its weight and its Gram matrix."""
        kept = self._input(name, energies=True)
        return kept.energies[kept.layers.index(name)] if kept.energies else self[name].row_energy()

    def _input(self, name: str, *, energies: bool = False) -> InputStatistics:
        found = self._files.read_input(self._linears[name].block, name, energies=energies)
        if found is None:
            raise NotCollected(name)
        return found

    def _made(self, name: str) -> LayerProblem:
        linear = self._linears[name]
        known = self._input(name, energies=True)
        near = next((self._kept[other] for other in known.layers if other in self._kept), None)
        weight = self._reader.weight(linear, self._device)
        if near is not None:
            made = near.with_weight(weight, name)
        else:
            gram = self._input(name).gram.to(self._device)
            made = LayerProblem(weight=weight, gram=gram, mean=known.mean.to(self._device), tokens=known.tokens, name=name)
        return made.with_row_energy(known.energies[known.layers.index(name)]) if known.energies else made

    def _bytes(self) -> int:
        grams = {id(problem.gram): problem.gram.nbytes for problem in self._kept.values()}
        return sum(problem.weight.nbytes for problem in self._kept.values()) + _COPIES * sum(grams.values())
