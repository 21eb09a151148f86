"""Annotations of a chart, added together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import plotly.graph_objects as go


def annotate(figure: go.Figure, annotations: Iterable[dict[str, Any]]) -> None:
    """Add them at once: `add_annotation` copies all that are there for each one more, a second for the 42 cells of a small model."""
    figure.update_layout(annotations=[*figure["layout"]["annotations"], *annotations])
