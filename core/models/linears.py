"""Linear layers of a decoder block: torch's Linear, GPT-2's Conv1D, and each expert's slice of matrices stacked in one parameter.

A stack is a parameter [E, ·, ·] of a module of experts. Which way its matrices lie is what the module declares (is_transposed, which
transformers sets on its experts), what a parameter called `weight` means in torch ([out, in]), or what follows from the model's width;
a stream holds the products that the model really computes against it (core/models/expert_inputs.py).
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear:
    """A linear layer of a block. `layer` is the torch module; its weight may move between devices, so ask anew each time."""

    name: str  # "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.experts.3.down_proj"
    module: str  # "self_attn.q_proj", "mlp.experts.3.down_proj"
    block: int
    rows: int  # c, outputs
    columns: int  # b, inputs
    layer: nn.Module
    parameter: str = "weight"  # of `layer`
    expert: int | None = None  # index of the slice of a stacked parameter; None: the parameter is the matrix
    transposed: bool = False  # stored as [in, out]

    @property
    def stack(self) -> str:
        """The parameter that holds the weight, by its name in the model."""
        if self.expert is None:
            return f"{self.name}.{self.parameter}"
        path = self.name.removesuffix(f".{self.parameter}").removesuffix(f".{self.expert}")
        return f"{path}.{self.parameter}"

    @property
    def weight(self) -> Tensor:
        """[c, b], a view of the stored weight: writing into it writes into the model."""
        stored = self._stored.detach()
        matrix = stored if self.expert is None else stored[self.expert]
        return matrix.t() if self.transposed else matrix

    @property
    def _stored(self) -> Tensor:
        stored = getattr(self.layer, self.parameter)
        assert isinstance(stored, Tensor)
        return stored

    @torch.no_grad()
    def write(self, weight: Tensor) -> None:
        """Put `weight` [c, b], any float dtype and device, in place of the stored one; storage, dtype and device stay."""
        assert weight.shape == (self.rows, self.columns), f"{self.name}: {tuple(weight.shape)} for {(self.rows, self.columns)}"
        self.weight.copy_(weight)

    @contextmanager
    def replaced(self, weight: Tensor) -> Generator[None]:
        """The layer computes with `weight` [c, b] for the time of the `with`; its own is put back untouched."""
        if self.expert is not None:
            own = self.weight.clone()
            self.write(weight)
            try:
                yield
            finally:
                self.write(own)
            return
        parameter = self._stored
        own = parameter.data
        parameter.data = (weight.t() if self.transposed else weight).to(own)
        try:
            yield
        finally:
            parameter.data = own


def linears_of(path: str, index: int, block: nn.Module, owners: Counter[int], width: int) -> Iterator[Linear]:
    """The layers of block `index` of the list at `path`, in the order they are registered. `owners` counts the modules that hold a
    weight, `width` is the model's."""
    for module, layer in block.named_modules():
        if isinstance(layer, nn.Linear | Conv1D):
            if owners[id(layer.weight)] == 1:
                transposed = isinstance(layer, Conv1D)
                rows, columns = layer.weight.shape[::-1] if transposed else layer.weight.shape
                yield Linear(name=f"{path}.{index}.{module}", module=module, block=index, rows=rows, columns=columns, layer=layer,
                             transposed=transposed)
            continue
        for parameter, transposed in stacks_of(layer, width).items():
            experts, first, second = getattr(layer, parameter).shape
            rows, columns = (second, first) if transposed else (first, second)
            ending = "" if parameter == "weight" else f".{parameter}"
            for expert in range(experts):
                own = f"{module}.{expert}{ending}"
                yield Linear(name=f"{path}.{index}.{own}", module=own, block=index, rows=rows, columns=columns, layer=layer,
                             parameter=parameter, expert=expert, transposed=transposed)


def stacks_of(layer: nn.Module, width: int) -> dict[str, bool]:
    """The stacked matrices of a module by parameter, each with True if they are stored as [in, out]. Empty where that cannot be told."""
    stacked = {name: parameter.shape for name, parameter in layer.named_parameters(recurse=False)
               if parameter.ndim == 3 and min(parameter.shape) > 1 and type(layer).__module__.partition(".")[0] != "torch"}
    if len({shape[0] for shape in stacked.values()}) != 1:
        return {}
    declared = getattr(layer, "is_transposed", None)
    if isinstance(declared, bool):
        return dict.fromkeys(stacked, declared)
    if list(stacked) == ["weight"]:
        return {"weight": False}
    if len(stacked) == 2:
        (_, a, b), (_, c, d) = stacked.values()
        as_inputs_first, as_outputs_first = a == d == width, b == c == width
        if as_inputs_first != as_outputs_first:
            return dict.fromkeys(stacked, as_inputs_first)
    return {}
