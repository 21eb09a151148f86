"""From a chart of all layers to the page of one: the layer that was pressed opens on Layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from app.shared import state

LAYERS = Path(__file__).resolve().parents[2] / "pages" / "layers.py"


def follow() -> None:
    """Go to the layer that was pressed; the controls go along."""
    name = state.recall("open-layer", "")
    if name:
        state.forget("open-layer")
        st.switch_page(LAYERS, query_params={"layer": name})


def pressed(key: str) -> None:
    """Remember whose mark was pressed in the chart of this key. Layers checks the name, as it does any link's."""
    chart: Mapping[str, Mapping[str, Sequence[Mapping[str, object]]]] = state.widget(key) or {}
    name = next((point.get("customdata") for point in chart.get("selection", {}).get("points", ())), None)
    if isinstance(name, list):
        name = name[0] if name else None
    if isinstance(name, str):
        state.remember("open-layer", name)
