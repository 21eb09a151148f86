"""Sensitivity pass over the dense model before pruning: output weights, each layer's own share of the zeros, scores of neurons and heads.

Made again, the same, when a run is resumed.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TypeVar

from torch import Tensor

from core.models.blocks import BlockMap
from core.models.cost import Work
from core.models.open_model import OpenModel
from core.run.allocation import allocate
from core.run.fisher import fisher, weigh
from core.run.global_threshold import share_by_saliency
from core.run.progress import Meter
from core.run.units import GoingUnits
from core.spec import RunSpec
from core.spec.layers import Named, own_pattern
from core.spec.methods import StructureScore
from core.spec.patterns import Pattern, Unstructured

Made = TypeVar("Made")


class SensitivityPass:
    """Holds what was found; nothing until `look`, and nothing for a spec that asks for none of it."""

    def __init__(self, spec: RunSpec, meter: Meter) -> None:
        self._spec, self._meter = spec, meter
        self._fisher: dict[str, Tensor] = {}  # of each layer's outputs, until it is made their weights
        self._weighed: dict[str, Tensor] = {}
        self._patterns: Mapping[str, Pattern] = {}

    def look(self, opened: OpenModel, block_map: BlockMap, work: Work, units: GoingUnits | None = None) -> Generator[int]:
        """Yields each block that is about to be looked at. Shares of zeros go by weighted errors, so weights come first. `units` take
        their scores where the method has scores of units."""
        if units is not None and isinstance(self._spec.method, StructureScore):
            units.scores = yield from self._timed(units.scored(opened, block_map, self._spec.method), "score",
                                                  work.score / len(block_map.blocks))
        if self._spec.fisher:
            turns = fisher(opened, block_map, coupled=self._spec.method.couples)
            self._fisher = yield from self._timed(turns, "weigh outputs", work.weigh / len(block_map.blocks))
        if self._spec.allocation == "global":
            assert isinstance(self._spec.pattern, Unstructured), "refused by the spec"
            outputs = yield from self._timed(fisher(opened, block_map, coupled=True), "allocate", work.allocate / 2 / len(block_map.blocks))
            turns = share_by_saliency(opened, block_map, self._spec.pattern, outputs)
            self._patterns = yield from self._timed(turns, "allocate", work.allocate / 2 / len(block_map.blocks))
        elif self._spec.allocation != "even":
            turns = allocate(opened, block_map, self._spec, weigh=self._weigh)
            self._patterns = yield from self._timed(turns, "allocate", work.allocate / len(block_map.blocks))

    def pattern(self, layer: Named, tokens: int) -> Pattern:
        """A layer's own; of an expert without `tokens` none of its weights where such ones stay dense."""
        if not tokens and self._spec.experts == "dense":
            return Unstructured(sparsity=0.0)
        return self._patterns.get(layer.name) or own_pattern(self._spec.pattern, self._spec.layer_sparsity, layer)

    def take_weights(self, name: str) -> Tensor | None:
        """Output weights of a layer, [c] or [c, c], or None: uniform. Asked for once, when the layer is pruned."""
        if not self._spec.fisher:
            return None
        with self._meter.stage("weigh outputs"):
            self._weigh(name)
            return self._weighed.pop(name, None)

    def _weigh(self, name: str) -> Tensor | None:
        if name in self._fisher:
            self._weighed[name] = weigh(self._fisher.pop(name), self._spec.fisher)
        return self._weighed.get(name)

    def _timed(self, turns: Generator[int, None, Made], stage: str, work: float) -> Generator[int, None, Made]:
        while True:
            try:
                with self._meter.stage(stage):
                    block = next(turns)
            except StopIteration as stop:
                return stop.value
            self._meter.advance(work)
            yield block
