"""Marks of charts that a person has pressed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.shared import state


def pressed_mark(key: str) -> object:
    """Data of the pressed mark of a chart (its customdata); None where none is pressed. It comes from a browser: check it."""
    chart: Mapping[str, Mapping[str, Sequence[Mapping[str, object]]]] = state.widget(key) or {}
    carried = (point.get("customdata") for point in chart.get("selection", {}).get("points", ()))
    return next((data for data in carried if data is not None), None)


def pressed_word(key: str) -> object:
    """Data of the pressed mark where marks carry one value, however the browser wraps it."""
    found = pressed_mark(key)
    return (found[0] if found else None) if isinstance(found, list) else found
