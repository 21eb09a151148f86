"""Neurons or heads that go, in a run: columns of the layer that reads them, then their rows in the layers that make them.

The method chooses the columns of the reading layer (down, or the attention's output projection), those of a head together; or it has
scored whole units of the dense model before (Taylor). Its kept columns
get the weights that they get where whole columns go: with magnitude and Wanda none moves, with Thanos they take the exact update
Δ_K = W_S H_SK H_KK⁻¹. The rows then change nothing more.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import torch
from torch import Tensor

from core.layer.masks import smallest_columns
from core.layer.problem import LayerProblem
from core.models.blocks import BlockMap, Linear
from core.models.heads import require_heads
from core.models.neurons import Units
from core.models.open_model import OpenModel
from core.models.shrinking import entries, shared_units
from core.models.streaming import Stream
from core.records import LayerRecord, PlannedShape, RemovedShape
from core.spec import Magnitude, RunSpec
from core.spec.errors import BadInput
from core.spec.methods import StructureScore
from core.spec.patterns import Columns, Heads, Neurons, Pattern, Structured
from core.structures.choice import read_tokens
from core.structures.units import unit_scores


class ColumnUnits(Structured):
    """Columns of a layer that reads units: `count` of them go, `span` together."""

    count: int = 0
    span: int = 1
    chosen: tuple[int, ...] | None = None  # the columns themselves, where the layer does not decide

    def target(self, rows: int, columns: int) -> Columns:
        """The columns that go, whatever the layer's size."""
        return Columns(count=self.count, span=self.span, chosen=self.chosen)


class GoingUnits:
    """The units of a run: `count` of each block. `gone`: by block, ascending, once it is finished. `scores` [units] by block, where the
    method scores units and not columns: the least go."""

    def __init__(self, units: Units, count: int) -> None:
        self.units, self.count = units, count
        self.gone: dict[int, tuple[int, ...]] = {}
        self.scores: dict[int, Tensor] = {}
        self._tokens = 0  # of the calibration text that were read for them
        self._readers = {block.reader.name for block in units.blocks}
        self._energies: dict[str, Tensor] = {}

    def pattern(self, layer: Linear, tokens: int) -> Pattern:
        """Columns of a layer that reads units; nothing of any other."""
        if layer.name not in self._readers:
            return Structured(sparsity=0.0)
        width, chosen = self.units.width, None
        if layer.block in self.scores:
            least = smallest_columns(self.scores[layer.block], self.count).nonzero()[:, 0]
            chosen = entries(least.tolist(), width)
        return ColumnUnits(count=self.count * width, span=width, chosen=chosen)

    def scored(self, opened: OpenModel, block_map: BlockMap, method: StructureScore) -> Generator[int, None, dict[int, Tensor]]:
        """Scores of the dense model's units by block; yields each block before its turn."""
        tokens = read_tokens(method, opened.calibration.tokens)
        self._tokens = tokens.numel()
        with Stream(opened.model, block_map, opened.device, tokens[:1]) as stream:
            return (yield from unit_scores(stream, tokens, self.units, opened.room))

    def spec(self, layer: Linear, spec: RunSpec) -> RunSpec:
        """The run as it is for a layer: of one that reads no units nothing is solved; where units are chosen by their scores, the kept
        columns stay as they are, or get the update that is asked for."""
        if layer.name not in self._readers:
            return spec.model_copy(update={"method": Magnitude(), "update": "own", "refit": False})
        return spec if spec.method.solves_layers else spec.model_copy(update={"method": Magnitude()})

    def note(self, problem: LayerProblem, layer: Linear) -> None:
        """Keep how much of its output each row is, for the record of a layer that makes units."""
        if layer.name in self.units.names - self._readers:
            energy = problem.row_energy().double()
            self._energies[layer.name] = energy / energy.sum().clamp(min=torch.finfo(energy.dtype).tiny)

    @torch.no_grad()
    def finish(self, block: int, records: Sequence[LayerRecord] = ()) -> list[LayerRecord]:
        """Once a block's layers are written: the rows of its units become zero, in the model too. Returns the records, these counted."""
        layers = self.units.blocks[block]
        zeros = (layers.reader.weight == 0).all(0).view(self.units.size, self.units.width).all(1)
        self.gone[block] = tuple(zeros.nonzero()[: self.count, 0].tolist())
        assert len(self.gone[block]) == self.count, "a method took columns of other units than it was asked for"
        rows = {maker.name: entries(self.gone[block], maker.rows // self.units.size) for maker in layers.makers}
        for maker in layers.makers:
            weight = maker.weight.clone()
            weight[list(rows[maker.name])] = 0
            maker.write(weight)
        return [self._counted(record, rows[record.name]) if record.name in rows else record for record in records]

    def _counted(self, record: LayerRecord, rows: Sequence[int]) -> LayerRecord:
        energy = self._energies.pop(record.name, None)
        if energy is None:  # of a block that an earlier run has finished: counted then
            return record
        lost = float(energy[list(rows)].sum())
        return record.model_copy(update={"counted_sparsity": len(rows) / record.shape[0], "relative_error": lost,
                                         "optimum_error": None if record.optimum_error is None else lost})

    def shape(self, parameters: int) -> RemovedShape:
        """Record of what is gone from a model of so many parameters."""
        units, gone, heads = self.units, dict(sorted(self.gone.items())), self.units.unit == "heads"
        settings = units.settings(units.size - self.count) if heads else {}
        return RemovedShape(unit=units.unit, neurons={} if heads else gone, heads=gone if heads else {}, size=units.size, span=units.span,
                            setting=units.setting, settings=settings, parameters=parameters, removed=self.removed(len(gone)),
                            tokens=self._tokens)

    def removed(self, blocks: int) -> int:
        """Parameters that go from so many blocks."""
        layers = self.units.blocks[0]
        each = sum(maker.rows // self.units.size * (maker.columns + _biases(maker)) for maker in layers.makers)
        return blocks * self.count * (each + layers.reader.rows * self.units.width)

    def pruned(self) -> dict[str, int]:
        """Entries that go, by layer."""
        return {linear.name: self.count * (linear.rows * self.units.width if linear is layers.reader else
                                           linear.columns * (linear.rows // self.units.size))
                for layers in self.units.blocks for linear in (*layers.makers, layers.reader)}


def _biases(layer: Linear) -> int:
    return int(getattr(layer.layer, "bias", None) is not None)


def going_units(model: Any, block_map: BlockMap, spec: RunSpec) -> GoingUnits | None:
    """The neurons or heads of a run that takes some out; None for any other. `block_map`: the layers that it does not skip. Raises BadInput
    for a model whose units cannot be taken out, for a number that it cannot have, and where a layer that makes or reads them is skipped."""
    pattern = spec.pattern
    if not isinstance(pattern, Neurons | Heads):
        return None
    units = shared_units(model, block_map, pattern.unit)
    left = {linear.name for linears in block_map.linears for linear in linears}
    skipped = sorted(units.names - left)
    if skipped:
        where = "the MLPs" if units.unit == "neurons" else "attention"
        raise BadInput("skip", skipped[0], f"layers other than those of {where} where {units.unit} go",
                       f"Every block keeps the same number of {units.unit}: skip fewer layers.")
    if isinstance(pattern, Neurons):
        return GoingUnits(units, units.size - pattern.left(units.size))
    staying = pattern.left(units.size, units.span)
    require_heads(model, units, staying)
    return GoingUnits(units, units.size - staying)


def planned_units(model: Any, block_map: BlockMap, spec: RunSpec) -> tuple[dict[str, int], PlannedShape] | None:
    """For a plan: pruned entries by layer, and what goes from each block; None for another pattern."""
    going = going_units(model, block_map, spec)
    if going is None:
        return None
    return going.pruned(), PlannedShape(unit=going.units.unit, count=going.count * going.units.span,
                                        parameters=going.removed(len(going.units.blocks)))
