"""Widgets made from the fields of a model of core/spec: title, help, limits and choices are said there and nowhere else."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from core.spec.fields import Field, fields_of

__all__ = ["Field", "draw", "fields_of"]


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


def _step(default: Any) -> float:
    return 10.0 ** math.floor(math.log10(default)) if isinstance(default, float) and default > 0 else 0.05
