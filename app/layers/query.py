"""The words of the Layers page beside those of a run."""

from __future__ import annotations

from app.layers.charts.layer_map import MEASURES, Measure
from app.shared import address
from app.shared.link import shortened

OWN = ("layer", "measure")


def read_measure() -> Measure:
    """The measure that the map is colored by; one that there is none is told."""
    word = address.word("measure", "error")
    for measure in MEASURES:
        if measure == word:
            return measure
    address.refuse("measure", f"measure: {shortened(word)} cannot be used. Allowed: {', '.join(MEASURES)}. Used instead: error.")
    return "error"
