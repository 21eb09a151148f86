"""Widgets made from the fields of a noun of `core/spec/`: title, help, limits and choices are said there and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import streamlit as st

from core.spec.base import FrozenModel

Kind = Literal["choice", "switch", "whole", "number", "text"]
_KINDS: dict[str, Kind] = {"boolean": "switch", "integer": "whole", "number": "number", "string": "text"}


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

    def read(self, text: str | None) -> Any:
        """The widget's value for a word of a link that was already checked; None is the default."""
        if text is None:
            return "" if self.kind == "text" and self.default is None else self.default
        if self.kind == "switch":
            return text == "true"
        return int(text) if self.kind == "whole" else float(text) if self.kind == "number" else text

    def write(self, value: Any) -> str | None:
        """The word for a widget's value; None if it is left to the default."""
        if value is None or value == "":
            return None
        return str(value).lower() if self.kind == "switch" else str(value)


def fields_of(noun: type[FrozenModel], names: Mapping[str, str]) -> tuple[Field, ...]:
    """The fields of a noun, in the order of `names` (word -> field)."""
    properties = cast("dict[str, dict[str, Any]]", noun.model_json_schema()["properties"])
    return tuple(_field(word, properties[name]) for word, name in names.items())


def draw(field: Field) -> None:
    """One widget; its value is in the session under the field's word, put there beforehand. Left empty, it means the default."""
    placeholder = "auto" if field.default is None else str(field.default)
    value: dict[str, Any] = {"value": None, "placeholder": placeholder} if field.default is None else {}
    common: dict[str, Any] = {"key": field.word, "help": field.help or None, "persist_state": "session"}
    match field.kind:
        case "choice":
            st.selectbox(field.title, field.choices, **common)
        case "switch":
            st.checkbox(field.title, **common)
        case "text":
            st.text_input(field.title, placeholder=placeholder, **common)
        case "whole":
            low, high = (None if limit is None else int(limit) for limit in (field.low, field.high))
            st.number_input(field.title, min_value=low, max_value=high, step=1, **value, **common)
        case "number":
            low, high = (None if limit is None else float(limit) for limit in (field.low, field.high))
            st.number_input(field.title, min_value=low, max_value=high, step=_step(field.default), format="%g", **value, **common)


def _field(word: str, schema: dict[str, Any]) -> Field:
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    kept = {**options[0], **{name: value for name, value in schema.items() if name != "anyOf"}}
    title, symbol = str(kept["title"]), str(kept.get("symbol", ""))
    choices = tuple(str(choice) for choice in kept.get("enum", ()))
    low, high = kept.get("minimum"), kept.get("maximum")
    if "exclusiveMaximum" in kept:
        high = math.nextafter(kept["exclusiveMaximum"], -math.inf)
    return Field(word=word, kind="choice" if choices else _KINDS[kept["type"]], help=kept.get("description", ""),
                 title=title if symbol in ("", title) else f"{title} {symbol}",
                 default=kept.get("default"), low=low, high=high, choices=choices)


def _step(default: Any) -> float:
    return 10.0 ** math.floor(math.log10(default)) if isinstance(default, float) and default > 0 else 0.05
