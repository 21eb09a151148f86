"""Fields of the models as a form and the command line see them: title, help, limits and choices are said in the models alone. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast

from core.spec.base import FrozenModel
from core.spec.words import text

Kind = Literal["choice", "switch", "whole", "number", "text", "several"]
_KINDS: dict[str, Kind] = {"boolean": "switch", "integer": "whole", "number": "number", "string": "text", "array": "several"}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field as a form sees it. `word` is its name in links, on the command line and in the session."""

    word: str
    kind: Kind
    title: str
    help: str
    default: Any
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def read(self, word: str | None) -> Any:
        """The widget's value for a word of a link that was already checked; None is the default."""
        if self.kind == "several":
            return word.split(",") if word else []
        if word is None:
            return "" if self.kind == "text" and self.default is None else self.default
        if self.kind == "switch":
            return word == "true"
        return int(word) if self.kind == "whole" else float(word) if self.kind == "number" else word

    def write(self, value: Any) -> str | None:
        """The word for a widget's value; None if it is left to the default."""
        if value is None or value in ("", [], ()):
            return None
        if self.kind == "several":
            return ",".join(map(str, value))
        return text(value) if self.kind == "switch" else str(value)


def describe_field(model: type[FrozenModel], name: str, word: str) -> Field:
    """A field of a model, under the word that stands for it."""
    return _field(word, _properties(model)[name])


def fields_of(model: type[FrozenModel], names: Mapping[str, str]) -> tuple[Field, ...]:
    """The fields of a model, in the order of `names` (word -> field)."""
    return tuple(describe_field(model, name, word) for word, name in names.items())


@lru_cache(maxsize=256)
def _properties(model: type[FrozenModel]) -> dict[str, dict[str, Any]]:
    return cast("dict[str, dict[str, Any]]", model.model_json_schema()["properties"])


def _field(word: str, schema: dict[str, Any]) -> Field:
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    kept = {**options[0], **{name: value for name, value in schema.items() if name != "anyOf"}}
    title, symbol = str(kept["title"]), str(kept.get("symbol", ""))
    choices = tuple(str(choice) for choice in kept.get("enum", ()))
    low, high = kept.get("minimum"), kept.get("maximum")
    if "exclusiveMinimum" in kept:
        low = math.nextafter(kept["exclusiveMinimum"], math.inf)
    if "exclusiveMaximum" in kept:
        high = math.nextafter(kept["exclusiveMaximum"], -math.inf)
    return Field(word=word, kind="choice" if choices else _KINDS[kept["type"]], help=kept.get("description", ""),
                 title=title if symbol in ("", title) else f"{title} {symbol}",
                 default=kept.get("default"), low=low, high=high, choices=choices)
