"""Modules of a block, experts counted together: mlp.experts.N.down_proj for each mlp.experts.3.down_proj. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol, TypeVar

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")


class Placed(Protocol):
    """A layer, as far as its place goes."""

    @property
    def module(self) -> str: ...
    @property
    def block(self) -> int: ...


Layer = TypeVar("Layer", bound=Placed)


def kind_of(module: str) -> str:
    """The module with N in place of the expert's number; other modules as they are."""
    return _NUMBER.sub("N", module, count=1)


def expert_of(module: str) -> int | None:
    """The number of the expert, or None."""
    found = _NUMBER.search(module)
    return int(found[0]) if found else None


def together(layers: Iterable[Layer]) -> dict[tuple[str, int], list[Layer]]:
    """Layers by kind and block: one each, or a block's experts."""
    found: dict[tuple[str, int], list[Layer]] = {}
    for layer in layers:
        found.setdefault((kind_of(layer.module), layer.block), []).append(layer)
    return found
