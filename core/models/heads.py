"""Attention heads as units: rows of the query, key and value projections and columns of the output projection, found as neurons are.

    units = attention_heads(skeleton)  # with grouped queries a unit is a group: a key and value head with all queries that read it
    units.settings(2)                  # {"num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64}

Where one key and value head serves all queries it stays, and single query heads are units. A model of one unit more is built beside the
first, without memory. Refused are families whose heads are as wide as their number leaves them (no head_dim), or that hold queries, keys
and values in one matrix.
"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import PreTrainedModel

from core.models.blocks import BlockMap, Linear, map_blocks
from core.models.loading import build
from core.models.neurons import BlockUnits, Units, growth, with_settings
from core.spec.errors import BadInput

HEADS, GROUPS, WIDTH = "num_attention_heads", "num_key_value_heads", "head_dim"
_IMPOSSIBLE = (ValueError, TypeError, RuntimeError, ZeroDivisionError, StrictDataclassError)  # of a configuration that means nothing


def attention_heads(skeleton: PreTrainedModel, block_map: BlockMap | None = None) -> Units:
    """The heads of a model. `block_map`: of a model of this structure, whose layers are returned; by default the skeleton's own.

    Raises BadInput with the reason where a configuration cannot say how many there are.
    """
    text = skeleton.config.get_text_config(decoder=True)
    heads, hidden = getattr(text, HEADS, None), getattr(text, "hidden_size", None)
    groups = getattr(text, GROUPS, None) or heads
    if not isinstance(heads, int) or not isinstance(hidden, int) or not isinstance(groups, int) or heads % groups:
        raise _refusal(skeleton, f"Its configuration has no number of heads ({HEADS}) in whole groups.")
    alone = groups == 1 < heads  # a key and value head that all queries read stays
    size, span = (heads, 1) if alone else (groups, heads // groups)
    each = {HEADS: span} | ({GROUPS: 1} if hasattr(text, GROUPS) and not alone else {})
    fixed = {WIDTH: getattr(text, WIDTH, None) or hidden // heads}
    empty = Units(unit="heads", setting=HEADS, size=size, blocks=(), each=each, fixed=fixed)
    try:
        grown = build(with_settings(skeleton.config, empty.settings(size + 1)))
    except _IMPOSSIBLE as error:
        raise _refusal(skeleton, "Its heads are as wide as their number leaves them.") from error
    found, _, other = growth(skeleton, grown)
    if other:
        raise _refusal(skeleton, f"{other} has entries for each head as well.")
    blocks = tuple(_block(skeleton, linears, found, size, span * fixed[WIDTH], fixed[WIDTH])
                   for linears in (block_map or map_blocks(skeleton)).every)
    return Units(unit="heads", setting=HEADS, size=size, blocks=blocks, each=each, fixed=fixed)


def _block(model: nn.Module, linears: Sequence[Linear], found: dict[str, tuple[int, int]], size: int, width: int, head: int) -> BlockUnits:
    """The layers of a block that grew: by `width` columns the one that reads a unit, by `width` or `head` rows those that make it."""
    readers = [linear for linear in linears if found.get(linear.name) == (0, width)]
    makers = tuple(linear for linear in linears if found.get(linear.name) in ((width, 0), (head, 0)))
    odd = next((linear.name for linear in linears if linear.name in found and linear not in (*readers, *makers)), "")
    if odd:
        raise _refusal(model, f"{odd} holds more than queries, keys or values alone.")
    if len(readers) != 1 or not makers or readers[0].columns != size * width:
        raise _refusal(model, f"No layers of block {linears[0].block} follow the number of heads.")
    return BlockUnits(makers=makers, reader=readers[0])


def require_heads(model: PreTrainedModel, units: Units, left: int) -> None:
    """Raises BadInput where a configuration of the family cannot have so many heads, with the numbers that it can."""
    if _possible(model.config, units, left):
        return
    numbers = [units.span * (units.size - count) for count in range(units.size - 1, 0, -1) if _possible(model.config, units, count)]
    listed = ", ".join(map(str, numbers)) or "none"
    raise BadInput("pattern", f"{units.span * (units.size - left)} heads fewer",
                   f"for this model's {units.span * units.size} heads: {listed}",
                   f"A configuration of {model.config.model_type} refuses {units.span * left} heads for its hidden size.")


def _possible(config: Any, units: Units, left: int) -> bool:
    try:
        type(config).from_dict(with_settings(config, units.settings(left)).to_dict())
    except _IMPOSSIBLE:
        return False
    return True


def _refusal(model: nn.Module, why: str) -> BadInput:
    family = str(getattr(getattr(model, "config", None), "model_type", "this family"))
    return BadInput("pattern", family, "for heads, families whose configuration has their number and their width (head_dim)", f"{why} "
                    "Choose neurons, whole blocks, or columns, which are zeros.")
