"""Neurons that go, in a run: whole columns of the layer that reads them, then their rows in the layers that make them.

The method chooses the columns of the reading layer (down), and its kept columns get the weights that they get where whole columns go: with
magnitude and Wanda none moves, with Thanos they take the exact update Δ_K = W_S H_SK H_KK⁻¹. The rows then change nothing more.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from core.layer.problem import LayerProblem
from core.models.blocks import BlockMap, Linear, parameter_count
from core.models.neurons import Units, mlp_units
from core.records import LayerRecord, RemovedShape
from core.spec import RunSpec
from core.spec.errors import BadInput
from core.spec.patterns import Neurons, Pattern, Structured


class GoingNeurons:
    """The neurons of a run. `gone`: by block, ascending, once it is finished."""

    def __init__(self, units: Units, pattern: Neurons) -> None:
        self.units, self.count = units, units.size - pattern.left(units.size)
        self.gone: dict[int, tuple[int, ...]] = {}
        self._readers = {block.reader.name for block in units.blocks}
        self._energies: dict[str, Tensor] = {}

    def pattern(self, layer: Linear, tokens: int) -> Pattern:
        """Whole columns of a layer that reads neurons; nothing of any other."""
        count = self.count if layer.name in self._readers else 0
        return Structured(sparsity=0.0).with_count(count, layer.rows, layer.columns)

    def note(self, problem: LayerProblem, layer: Linear) -> None:
        """Keep how much of its output each neuron is, for the record of a layer that makes them."""
        if layer.name in self.units.names - self._readers:
            energy = problem.row_energy().double()
            self._energies[layer.name] = energy / energy.sum().clamp(min=torch.finfo(energy.dtype).tiny)

    @torch.no_grad()
    def finish(self, block: int, records: Sequence[LayerRecord] = ()) -> list[LayerRecord]:
        """Once a block's layers are written: the rows of its neurons become zero, in the model too. Returns the records, these counted."""
        units = self.units.blocks[block]
        columns = (units.reader.weight == 0).all(0).nonzero()[: self.count, 0]
        self.gone[block] = tuple(columns.tolist())
        for maker in units.makers:
            weight = maker.weight.clone()
            weight[columns] = 0
            maker.write(weight)
        makers = {maker.name for maker in units.makers}
        return [self._counted(record, columns) if record.name in makers else record for record in records]

    def _counted(self, record: LayerRecord, columns: Tensor) -> LayerRecord:
        energy = self._energies.pop(record.name, None)
        if energy is None:  # of a block that an earlier run has finished: counted then
            return record
        lost = float(energy[columns.to(energy.device)].sum())
        return record.model_copy(update={"counted_sparsity": len(columns) / record.shape[0], "relative_error": lost,
                                         "optimum_error": None if record.optimum_error is None else lost})

    def shape(self, parameters: int) -> RemovedShape:
        """Record of what is gone from a model of so many parameters."""
        each = sum(maker.columns + _biases(maker) for maker in self.units.blocks[0].makers) + self.units.blocks[0].reader.rows
        removed = sum(len(gone) for gone in self.gone.values()) * each
        return RemovedShape(unit="neurons", neurons=dict(sorted(self.gone.items())), size=self.units.size, setting=self.units.setting,
                            parameters=parameters, removed=removed)


def _biases(layer: Linear) -> int:
    return int(getattr(layer.layer, "bias", None) is not None)


def going_neurons(model: Any, block_map: BlockMap, spec: RunSpec) -> GoingNeurons | None:
    """The neurons of a run that takes some out; None for any other. `block_map`: the layers that it does not skip. Raises BadInput for a
    model whose neurons cannot be taken out, and where a layer of an MLP is skipped."""
    if not isinstance(spec.pattern, Neurons):
        return None
    units = mlp_units(model, block_map)
    left = {linear.name for linears in block_map.linears for linear in linears}
    skipped = sorted(units.names - left)
    if skipped:
        raise BadInput("skip", skipped[0], "layers other than those of the MLPs where neurons go",
                       "Every block keeps the same number of neurons: skip fewer layers.")
    return GoingNeurons(units, spec.pattern)


def planned_neurons(model: Any, block_map: BlockMap, spec: RunSpec) -> tuple[dict[str, int], int, int] | None:
    """For a plan: pruned entries by layer, neurons that go from each block, and parameters that go; None for another pattern."""
    going = going_neurons(model, block_map, spec)
    if going is None:
        return None
    going.gone = {block: tuple(range(going.count)) for block in range(len(going.units.blocks))}
    pruned = {linear.name: going.count * (linear.rows if linear.name == units.reader.name else linear.columns)
              for units in going.units.blocks for linear in (*units.makers, units.reader)}
    return pruned, going.count, going.shape(parameter_count(model)).removed
