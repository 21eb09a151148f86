"""Units that several layers share: hidden units (neurons) of the MLPs, found by what a configuration's number moves.

    units = mlp_units(skeleton)        # of every block: up (and gate) with their rows, down with its columns
    units.setting                      # intermediate_size, ffn_dim, n_inner: what config.json calls their number
    units.settings(48)                 # {"intermediate_size": 48}: what a configuration with so many says

Attention heads are units as well: core/models/heads.py.

A model of 8 more neurons is built beside the first, without memory: the layers whose outputs have grown make the neurons, the one whose
inputs have grown reads them. A family whose configuration has no such number, or in which it moves anything else, is refused.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from core.models.blocks import BlockMap, Linear, map_blocks
from core.models.loading import build
from core.records.shapes import UnitName
from core.spec.errors import BadInput

SETTINGS = ("intermediate_size", "ffn_dim", "n_inner")
_MORE = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockUnits:
    """The layers of one block's units: as many rows of each maker belong to a unit, and as many columns of the reader, one after the
    other."""

    makers: tuple[Linear, ...]
    reader: Linear


@dataclass(frozen=True, kw_only=True, eq=False)
class Units:
    """The neurons or heads of a model: as many, `size`, in every block."""

    unit: UnitName
    setting: str
    size: int
    blocks: tuple[BlockUnits, ...]
    each: Mapping[str, int]  # how much of a number of the configuration a unit is
    fixed: Mapping[str, int] = field(default_factory=dict[str, int])  # what it has to say besides

    @property
    def span(self) -> int:
        """Number of what a person counts in a unit: heads that share a key and value head."""
        return self.each[self.setting]

    @property
    def width(self) -> int:
        """Columns of the reading layer in a unit."""
        return self.blocks[0].reader.columns // self.size

    def settings(self, left: int) -> dict[str, int]:
        """Words of a configuration with so many units in every block."""
        return {name: count * left for name, count in self.each.items()} | dict(self.fixed)

    @property
    def names(self) -> frozenset[str]:
        """The names of all layers that make or read units."""
        return frozenset(linear.name for block in self.blocks for linear in (*block.makers, block.reader))


def with_settings(config: Any, settings: Mapping[str, int]) -> Any:
    """A copy of a configuration with other numbers."""
    found = copy.deepcopy(config)
    for name, value in settings.items():
        setattr(found.get_text_config(decoder=True), name, value)
    return found


def mlp_units(skeleton: PreTrainedModel, block_map: BlockMap | None = None) -> Units:
    """The neurons of a model. `block_map`: of a model of this structure, whose layers are returned; by default the skeleton's own.

    Raises BadInput with the reason where a configuration cannot say how many there are.
    """
    own = block_map or map_blocks(skeleton)
    text = skeleton.config.get_text_config(decoder=True)
    for setting in SETTINGS:
        if not hasattr(text, setting):
            continue
        reader = _readers(skeleton, setting, _guess(own, getattr(text, setting)))
        if reader is not None:
            return _units(skeleton, own, setting, reader)
    raise _refusal(skeleton, f"Its configuration has no number of neurons ({', '.join(SETTINGS)}) that its layers follow.")


def _guess(block_map: BlockMap, value: Any) -> int:
    """The number of neurons now; where it is left to the family (GPT-2's n_inner), the widest input of a layer."""
    return value if isinstance(value, int) else max(linear.columns for linear in block_map.linears[0])


def _readers(skeleton: PreTrainedModel, setting: str, size: int) -> dict[str, tuple[int, int]] | None:
    """Growth (rows, columns) of every linear layer that grows with the setting, by name; None where none does. Raises BadInput where
    another tensor grows as well, or a layer by another number."""
    found, linears, other = growth(skeleton, build(with_settings(skeleton.config, {setting: size + _MORE})))
    odd = next((name for name, grown in found.items() if grown not in ((_MORE, 0), (0, _MORE)) or linears[name].expert is not None), None)
    if odd is not None:
        what = "an expert" if linears[odd].expert is not None else "several matrices in one"
        raise _refusal(skeleton, f"{odd} is {what}: its neurons cannot be taken out one by one.")
    if other:
        raise _refusal(skeleton, f"{other} has an entry for each neuron as well.")
    return found or None


def growth(skeleton: nn.Module, grown: nn.Module) -> tuple[dict[str, tuple[int, int]], dict[str, Linear], str]:
    """Of two models of one structure: how much more (rows, columns) every linear layer that differs has in the second, all linear layers
    of the first, by name; and another tensor that differs, empty where there is none."""
    before, after = ({linear.name: linear for linears in map_blocks(model).linears for linear in linears} for model in (skeleton, grown))
    found = {name: (after[name].rows - linear.rows, after[name].columns - linear.columns) for name, linear in before.items()
             if (after[name].rows, after[name].columns) != (linear.rows, linear.columns)}
    known = {f"{name}.{part}" for name in found for part in ("weight", "bias")}
    shapes = dict(skeleton.named_parameters())
    grew = (name for name, parameter in grown.named_parameters() if parameter.shape != shapes[name].shape)
    return found, before, next((name for name in grew if name not in known), "")


def _units(skeleton: nn.Module, block_map: BlockMap, setting: str, grown: dict[str, tuple[int, int]]) -> Units:
    blocks: list[BlockUnits] = []
    for linears in block_map.every:
        makers = tuple(linear for linear in linears if grown.get(linear.name) == (_MORE, 0))
        readers = [linear for linear in linears if grown.get(linear.name) == (0, _MORE)]
        if not makers or len(readers) != 1 or {maker.rows for maker in makers} != {readers[0].columns}:
            raise _refusal(skeleton, f"Block {linears[0].block} has no MLP of this size.")
        blocks.append(BlockUnits(makers=makers, reader=readers[0]))
    sizes = {block.reader.columns for block in blocks}
    if len(sizes) != 1:
        raise _refusal(skeleton, "Its blocks differ in their number of neurons.")
    return Units(unit="neurons", setting=setting, size=sizes.pop(), blocks=tuple(blocks), each={setting: 1})


def _refusal(model: nn.Module, why: str) -> BadInput:
    family = str(getattr(getattr(model, "config", None), "model_type", "this family"))
    return BadInput("pattern", family, "for neurons, families with one number of them in their configuration", f"{why} Choose columns, "
                    "which are zeros, or whole blocks.")
