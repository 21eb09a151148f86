"""From a chart of all layers to the page of one: the layer that was pressed opens on Layers."""

from __future__ import annotations

import streamlit as st

from app.shared import state
from app.shared.page_links import LAYERS
from app.shared.pressed_marks import pressed_word


def follow() -> None:
    """Go to the layer that was pressed; the controls go along."""
    name = state.recall("open-layer", "")
    if name:
        state.forget("open-layer")
        st.switch_page(LAYERS, query_params={"layer": name})


def pressed(key: str) -> None:
    """Remember whose mark was pressed in the chart of this key. Layers checks the name, as it does any link's."""
    name = pressed_word(key)
    if isinstance(name, str):
        state.remember("open-layer", name)
