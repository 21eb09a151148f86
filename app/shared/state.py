"""The one door to the session: what this browser tab remembers between reruns, under names that no widget has."""

from __future__ import annotations

from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T")


def recall(name: str, default: T) -> T:
    """The value remembered under this name, or the default."""
    return st.session_state.get(f"_{name}", default)


def remember(name: str, value: object) -> None:
    """Keep a value until the tab is closed."""
    st.session_state[f"_{name}"] = value


def forget(name: str) -> None:
    """Drop what was remembered."""
    st.session_state.pop(f"_{name}", None)


def widget(key: str) -> Any:
    """The value of a widget; None if it was never set."""
    return st.session_state.get(key)


def set_widget(key: str, value: object) -> None:
    """Set a widget before it is drawn (in this run, or from a callback)."""
    st.session_state[key] = value
