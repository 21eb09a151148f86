"""An axis of layers that shows depth: modules beside each other, within each its blocks from first to last.

A block's experts stand in their block by their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TypeVar

import plotly.graph_objects as go

from app.shared.charts.layer_errors import short_modules
from app.shared.style import INKS, Theme
from core.records import LayerRecord
from core.records.modules import expert_of, kind_of

T = TypeVar("T")
_APART = 1.6  # the space between two modules, in blocks


class ModuleAxis:
    """The x axis for some layers. `places`: where each stands, by name."""

    def __init__(self, layers: Sequence[LayerRecord]) -> None:
        self._modules = list(dict.fromkeys(kind_of(layer.module) for layer in layers))
        self._blocks = sorted({layer.block for layer in layers})
        self._width = len(self._blocks) + _APART
        experts = 1 + max((expert_of(layer.module) or 0 for layer in layers), default=0)
        self.places = {layer.name: self._modules.index(kind_of(layer.module)) * self._width + self._blocks.index(layer.block)
                       + 0.8 * ((expert_of(layer.module) or 0) / experts) for layer in layers}
        self._groups = [sorted((layer.name for layer in layers if kind_of(layer.module) == module), key=self.places.__getitem__)
                        for module in self._modules]

    def broken(self, values: Mapping[str, T]) -> list[T | None]:
        """Values by layer in the order of the axis, None between modules: a line through them breaks there."""
        return [value for group in self._groups for value in (*(values[name] for name in group), None)]

    def draw(self, figure: go.Figure, theme: Theme) -> None:
        """Put the axis under a figure."""
        middle = (len(self._blocks) - 1) / 2
        title = "module" if len(self._blocks) < 2 else \
            f"module, in each the blocks {self._blocks[0]} to {self._blocks[-1]}"
        figure.update_xaxes(
            title={"text": title}, tickvals=[at * self._width + middle for at in range(len(self._modules))], ticks="",
            ticktext=[escape(name) for name in short_modules(self._modules)],
            range=[-_APART / 2 - 0.2, max(1, len(self._modules)) * self._width - _APART / 2 - 0.8])
        for at in range(1, len(self._modules)):
            figure.add_vline(x=at * self._width - (1 + _APART) / 2, line={"color": INKS[theme].grid, "width": 1})
